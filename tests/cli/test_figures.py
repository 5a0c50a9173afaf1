"""Figures for a paper, by commands."""

from pathlib import Path

import numpy as np
from click.testing import CliRunner
from PIL import Image

import inrkit
from inrkit.cli import main

SMALL = ["size=8,8", "width=16", "depth=1", "decoder_depth=1", "heads=2", "hidden=16", "inr_width=16", "inr_inner=16"]


def ran(*args: object, code: int = 0) -> str:
    result = CliRunner().invoke(main, [str(arg) for arg in args])
    assert result.exit_code == code, result.output
    return result.output


def test_sheets_of_every_command_go_into_a_paper(tmp_path: Path) -> None:
    """By the ending of --sheet, beside the PNG; every file is named; mistakes show before the work."""
    run, pictures = tmp_path / "run", [tmp_path / f"{i}.png" for i in range(3)]
    for path in pictures:
        Image.fromarray(np.full((8, 8, 3), 99, np.uint8)).save(path)
    quiet = {"progress": False, "on_sample": lambda *_: None, "on_end": lambda *_: None}
    sets = [f"options.{option}" for option in (*SMALL, "inr_depth=2", "count=64")]
    inrkit.train(modality="image", steps=1, batch_size=4, precision="fp32", overrides=sets, out=run, **quiet)
    figures = {name: tmp_path / f"{name}.pdf" for name in ("sample", "encode", "edit")}
    args = ("--pick", "0,5", "--scale", 2, "--sheet", figures["sample"], "-o", tmp_path / "s")
    said = ran("sample", run, "-n", 6, *args)
    assert f"see {tmp_path / 's' / 'sheet.png'} and {figures['sample']}" in said
    with Image.open(tmp_path / "s" / "sheet.png") as sheet:
        assert sheet.size == (2 * 20 + 4, 24)
    said = ran("encode", run, *pictures, "--columns", 2, "--sheet", figures["encode"], "-o", tmp_path / "all.inr")
    assert str(figures["encode"]) in said
    args = ("--task", "colorize", "--rows", "known,edited", "--sheet", figures["edit"], "-o", tmp_path / "e")
    assert str(figures["edit"]) in ran("edit", run, pictures[0], *args)
    table, latex = tmp_path / "psnr.csv", tmp_path / "kept.tex"
    assert f"{table}: 1 table" in ran("encode", run, *pictures, "-o", tmp_path / "all.inr", "--table", table)
    assert [row.split(",")[0] for row in table.read_text().splitlines()] == ["source", *map(str, pictures)]
    ran("edit", run, pictures[0], "--task", "colorize", "-o", tmp_path / "e", "--table", latex, "--json")
    assert "0.png & 8 x 8 & - & - & " in latex.read_text()
    assert "'--table' is for files" in ran("encode", run, "--data", "embedded", "--table", table, code=2)
    for name, path in figures.items():
        assert path.read_bytes().startswith(b"%PDF"), name
    assert "'--sheet' ends with .png, .pdf, .svg" in ran("sample", run, "--sheet", "a.jpg", code=2)
    assert "'--pick': expected numbers from 0 to 15" in ran("sample", run, "--pick", "16", code=2)
    assert "'--rows': no row named 'x'" in ran("encode", run, *pictures, "--rows", "x", code=2)


def test_files_are_rendered_on_one_sheet(tmp_path: Path) -> None:
    """Of several files and of files of several signals; those that are picked alone, at one size."""
    ran("sample", "digits", "-n", 2, "-o", tmp_path / "new")
    ran("sample", "digits", "-n", 2, "-o", tmp_path / "new.inr")
    files = [*sorted((tmp_path / "new").glob("*.inr")), tmp_path / "new.inr"]
    sheet = tmp_path / "figures" / "a.png"
    said = ran("render", *files, "--pick", "0,1,3", "--size", "10x10", "--columns", 3, "--scale", 1, "--sheet", sheet)
    assert said.strip() == str(sheet)
    with Image.open(sheet) as picture:
        assert picture.size == (3 * 10 + 4 * 4, 10 + 8)
    assert "'--sheet' FILE shows all of them" in ran("render", *files, code=2)
    assert "'--columns' is for the sheet" in ran("render", files[0], "--columns", 2, code=2)
    assert "'--pick': expected numbers from 0 to 3" in ran("render", *files, "--pick", 4, "--sheet", sheet, code=2)


def test_a_store_is_looked_at(tmp_path: Path) -> None:
    """`data info` shows training signals, in their own colours, as other commands show signals."""
    for i in range(12):
        (tmp_path / "photos").mkdir(exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), 20 * i, np.uint8)).save(tmp_path / f"photos/{i:02d}.png")
    store, sheet = tmp_path / "photos.h5", tmp_path / "sheet.png"
    ran("data", "import", "images", tmp_path / "photos", "-o", store)
    said = ran("data", "info", store, "--pick", "1,3", "--columns", 1, "--scale", 2, "--sheet", sheet)
    assert said.splitlines()[-1] == str(sheet)
    with Image.open(sheet) as picture:
        assert picture.size == (16 + 8, 2 * (16 + 4) + 4)
        assert [picture.getpixel((12, y)) for y in (12, 32)] == [(20, 20, 20), (60, 60, 60)]
    assert "'--columns' is for the sheet" in ran("data", "info", store, "--columns", 2, code=2)
    assert "'--pick': expected numbers from 0 to 10" in ran(
        "data", "info", store, "--pick", 11, "--sheet", sheet, code=2
    )
