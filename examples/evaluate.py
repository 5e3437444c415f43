"""Forecasts two dates and prints scores beside climatology and persistence.

python examples/evaluate.py --help  # other paths
"""

import argparse

import atmorep_k

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--model", default="runs/pretrain_field", help="a saved model, or its run")
parser.add_argument("--store", default="demo", help="a store that has the model's fields")
options = parser.parse_args()

times = ["2000-01-18T06", "2000-01-19T06"]
forecasts = atmorep_k.forecast(options.model, options.store, times, region=(20, 80, -30, 60))

# Needs `pip install 'atmorep-k[score]'`. The climatology is of days before the forecasts.
period = ("2000-01-01", "2000-01-16")
scores = atmorep_k.evaluate(forecasts, options.store, climatology=period)
last = scores["vorticity"].sel(region="all", level=500).isel(prediction_timedelta=-1)
print(last.sel(score=["rmse", "acc", "crps"]).to_pandas().to_string(float_format="%.3g"))
