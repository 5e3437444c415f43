"""Draws the pictures in docs/pictures anew: runs pages, keeps some of what they draw.

    python tools/draw_docs.py DIRECTORY

DIRECTORY holds the package's gin/ and runs/pretrain_field, the run that is asked (the pictures that
are there are of gin/examples/demo_tasks.gin under that name). What the pages write goes there.
"""

import contextlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
WIDTH, COLOURS = 1000, 128
# Page -> picture -> where its commands leave it.
PICTURES = {
    "inference.md": {"forecast": "forecast_plots/map_forecast_vorticity.png"},
    "tasks.md": {
        "rollout": "rollout_plots/map_rollout_vorticity.png",
        "point": "places_plots/point_vorticity.png",
        "infill": "filled_plots/map_infill_vorticity.png",
        "counterfactual": "evening_plots/map_counterfactual_vorticity.png",
        "correct": "corrected_plots/map_correct_vorticity.png",
        "attention": "attention_plots/layers_encoder_self.png",
        "features": "features_plots/features_vorticity.png",
        "evaluate": "forecasts_scores/scores_vorticity.png",
        "ranks": "forecasts_scores/ranks_vorticity.png",
    },
}


def main():
    """Follows the pages and prints the paths of the pictures."""
    directory = Path(sys.argv[1]).resolve()
    for page, pictures in PICTURES.items():
        follow((DOCS / page).read_text(), directory)
        for name, path in pictures.items():
            print(shrink(directory / path, DOCS / "pictures" / f"{name}.png"))
    if browser := shutil.which("chromium") or shutil.which("google-chrome"):
        shot = directory / "report.png"
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=1100,1500"]
        page = directory / "runs" / "pretrain_field" / "report.html"
        command = [browser, *options, f"--screenshot={shot}", page.as_uri()]
        subprocess.run(command, check=True, capture_output=True)
        print(shrink(shot, DOCS / "pictures" / "report.png"))


def follow(text: str, directory: Path) -> None:
    """Runs the shell and Python blocks of a page one after the other."""
    names = {}
    with contextlib.chdir(directory):
        for language, block in re.findall(r"```(sh|python)\n(.*?)```", text, re.DOTALL):
            if language == "sh":
                subprocess.run(["sh", "-ec", block], check=True)
            else:
                exec(block, names)


def shrink(source: Path, target: Path) -> Path:
    """Writes a picture small enough for a repository."""
    from PIL import Image

    target.parent.mkdir(exist_ok=True)
    with Image.open(source) as picture:
        picture = picture.convert("RGB")
        if picture.width > WIDTH:
            height = round(picture.height * WIDTH / picture.width)
            picture = picture.resize((WIDTH, height), Image.Resampling.LANCZOS)
        picture.quantize(COLOURS).save(target, optimize=True)
    return target


if __name__ == "__main__":
    main()
