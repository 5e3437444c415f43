"""`atmorep-k config`: show or check a configuration."""

import click

files_argument = click.argument("files", nargs=-1, required=True, metavar="FILE...")
set_option = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="NAME=VALUE",
    help="Override a macro or [scope/]Component.parameter; may be repeated.",
)


@click.group()
def config():
    """Show or check a configuration: gin files with all they include."""


@config.command()
@files_argument
@set_option
def show(files, overrides):
    """Print the resolved configuration: one gin file, without includes, that can be run again."""
    from atmorep_k.config import configuration

    click.echo(configuration.load(files, overrides).text, nl=False)


@config.command()
@files_argument
@set_option
def check(files, overrides):
    """Check a configuration without building anything."""
    from atmorep_k.config import configuration

    checked = configuration.load(files, overrides)
    num = checked.num_files
    click.echo(f"ok: {len(checked.bindings)} bindings in {num} file{'s' if num > 1 else ''}")
