"""Whether what is stored is fit to train on."""
