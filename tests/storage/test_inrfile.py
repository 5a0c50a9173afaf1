"""One signal in one file: it comes back whole or not at all."""

import io
import pickle
import zipfile
from pathlib import Path

import attrs
import pytest
import torch

from inrkit.errors import DataError, UsageError
from inrkit.storage import tensorfile
from inrkit.storage.inrfile import InrFile, load_inr, load_inrs, pack_inr, save_inr, unpack_inr


def signal(**changes: object) -> InrFile:
    inr = InrFile(
        params={"layer0": torch.randn(5, 3), "layer1": torch.randn(5)},
        function="anr",
        built_with={"name": "anr", "size": [32, 32]},
        function_state={"shared.weight": torch.randn(4, 4).T},
        modality="image",
        modality_options={"size": [32, 32]},
        readout={"name": "literal"},
        t=80.0,
        provenance={"run": "r", "step": 3},
    )
    return attrs.evolve(inr, **changes)


def test_a_signal_comes_back(tmp_path: Path) -> None:
    """load(save(x)) is x, field by field and bit by bit."""
    inr = signal()
    back = load_inr(save_inr(tmp_path / "a.inr", inr))
    for field in attrs.fields(InrFile):
        ours, theirs = getattr(inr, field.name), getattr(back, field.name)
        if field.name in ("params", "function_state"):
            assert ours.keys() == theirs.keys()
            assert all(torch.equal(ours[name], theirs[name]) for name in ours)
            assert all(ours[name].dtype == theirs[name].dtype for name in ours)
        else:
            assert ours == theirs


def test_damage_never_goes_unnoticed(tmp_path: Path, damaged) -> None:
    """Of 80 damaged versions each is refused, or holds exactly what was saved (a bit of padding)."""
    path = save_inr(tmp_path / "a.inr", signal())
    saved, refused = load_inr(path), 0
    for data in damaged(path.read_bytes(), 80, seed=1):
        path.write_bytes(data)
        try:
            back = load_inr(path)
        except DataError:
            refused += 1
            continue
        for name in ("params", "function_state"):
            ours, theirs = getattr(saved, name), getattr(back, name)
            assert ours.keys() == theirs.keys()
            assert all(torch.equal(ours[key], theirs[key]) for key in ours)
        empty = {"params": None, "function_state": None}
        assert attrs.asdict(attrs.evolve(back, **empty)) == attrs.asdict(attrs.evolve(saved, **empty))
    assert refused >= 78


def test_one_flipped_weight_is_named_with_both_hashes(tmp_path: Path) -> None:
    """The message says which file, what was expected and what was found."""
    path = save_inr(tmp_path / "a.inr", signal())
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"a\.inr: expected sha256 [0-9a-f]{12}, found [0-9a-f]{12}"):
        load_inr(path)


def foreign() -> dict[str, bytes]:
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("data.pkl", "x")
    from safetensors.torch import save

    return {
        "empty": b"",
        "pickle": pickle.dumps({"a": 1}),
        "zip": zipped.getvalue(),
        "text": b"hello, this is no signal at all",
        "safetensors": save({"x": torch.zeros(3)}),
        "bomb": (2**60).to_bytes(8, "little") + b"{}",
        "format": save({"x": torch.zeros(3)}, {"format": "inrkit-inr", "version": "3"}),
        "bare": save({"x": torch.zeros(3)}, {"format": "inrkit-inr", "version": "1"}),
    }


@pytest.mark.parametrize("kind", foreign())
def test_foreign_files_are_refused(tmp_path: Path, kind: str) -> None:
    """Other people's files, bombs, other versions: one kind of error, naming the file."""
    path = tmp_path / "foreign.inr"
    path.write_bytes(foreign()[kind])
    with pytest.raises(DataError, match=r"foreign\.inr"):
        load_inr(path)


def test_missing_files_and_folders_are_data_errors(tmp_path: Path) -> None:
    """Nothing there is said plainly."""
    for path in (tmp_path / "none.inr", tmp_path):
        with pytest.raises(DataError, match="expected"):
            load_inr(path)


@pytest.mark.parametrize(
    "changes",
    [{"t": float("nan")}, {"function": ""}, {"provenance": {1: 2}}, {"readout": "literal"}, {"params": {"a": 3}}],
)
def test_what_cannot_be_written_is_refused_when_saving(tmp_path: Path, changes: dict[str, object]) -> None:
    """A file that could not be read back is never written."""
    with pytest.raises(DataError):
        save_inr(tmp_path / "a.inr", signal(**changes))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"a": torch.tensor([1.0, float("nan")])}, "found 1 of 2 in 'a' that are not"),
        ({"a": torch.tensor([1, 2])}, "floating-point params, found 'a' of torch.int64"),
    ],
)
def test_params_that_no_function_can_be_bound_to_are_refused(
    tmp_path: Path, params: dict[str, torch.Tensor], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither written nor read: integers and numbers that are none."""
    with pytest.raises(DataError, match=said):
        save_inr(tmp_path / "a.inr", signal(params=params))
    with monkeypatch.context() as unchecked:
        unchecked.setattr("inrkit.storage.inrfile._check_params", lambda *_: None)
        save_inr(tmp_path / "a.inr", signal(params=params))
    with pytest.raises(DataError, match=said):
        load_inr(tmp_path / "a.inr")


def several(count: int = 3) -> list[InrFile]:
    first = signal()
    return [
        attrs.evolve(
            first,
            params={name: torch.randn_like(value) for name, value in first.params.items()},
            t=float(i),
            provenance={"run": "r", "number": i},
        )
        for i in range(count)
    ]


def test_signals_of_one_function_share_a_file(tmp_path: Path) -> None:
    """Each comes back by its row, and another one costs no more than its own params and what is told of it."""
    inrs = several()
    path = save_inr(tmp_path / "many.inr", inrs)
    for row, (inr, back) in enumerate(zip(inrs, load_inrs(path), strict=True)):
        assert all(torch.equal(back.params[name], inr.params[name]) for name in inr.params)
        assert all(torch.equal(back.function_state[name], inr.function_state[name]) for name in inr.function_state)
        assert (back.t, back.provenance) == (inr.t, inr.provenance)
        assert load_inr(path, row).t == inr.t
    assert len(pack_inr(several(9))) - len(pack_inr(several(8))) < 4 * (5 * 3 + 5) + 40
    with pytest.raises(UsageError, match="holds 3 signals; choose one of the rows 0 to 2"):
        load_inr(path)
    with pytest.raises(UsageError, match="got row 3"):
        load_inr(path, 3)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"readout": {"name": "direct"}}, "another 'readout' in signal 1"),
        ({"function_state": {"shared.weight": torch.zeros(4, 4)}}, "another 'function_state' in signal 1"),
        ({"params": {"layer0": torch.zeros(5, 2), "layer1": torch.zeros(5)}}, "another 'params' in signal 1"),
    ],
)
def test_signals_of_several_functions_need_several_files(changes: dict[str, object], said: str) -> None:
    """What the file holds once must be the same for all."""
    first = signal()
    with pytest.raises(DataError, match=said):
        pack_inr([first, attrs.evolve(first, **changes)])
    with pytest.raises(DataError, match="at least one signal"):
        pack_inr([])


@pytest.mark.parametrize(("dtype", "least", "size"), [("bf16", 2**-8, 0.5), ("int8", 1 / 254, 0.25)])
def test_fewer_bits_keep_each_row_to_its_precision(dtype: str, least: float, size: float) -> None:
    """Matrices are off by half a step at most, of each row's own scale; vectors stay; what comes back is fp32."""
    inr = signal(
        params={"a": torch.randn(64, 64) * torch.logspace(-6, 6, 64)[:, None], "bias": torch.randn(7)},
        function_state={"w": torch.randn(64, 64), "zero": torch.zeros(2, 3), "count": torch.tensor([[3]])},
    )
    data = pack_inr(inr, dtype)
    back = unpack_inr(data, origin="a.inr")
    opened = sum(tensor.nbytes for tensors in (back.params, back.function_state) for tensor in tensors.values())
    assert opened <= 4 * len(data)  # what docs/reliability.md promises
    for before, after in ((inr.params["a"], back.params["a"]), (inr.function_state["w"], back.function_state["w"])):
        assert after.dtype == torch.float32
        assert ((after - before).abs() <= 1.001 * least * before.abs().amax(1, keepdim=True)).all()
    assert torch.equal(back.params["bias"], inr.params["bias"])
    assert torch.equal(back.function_state["zero"], inr.function_state["zero"])
    assert torch.equal(back.function_state["count"], inr.function_state["count"])
    assert len(data) < (size + 0.1) * len(pack_inr(inr))
    again = pack_inr(back, dtype)
    assert torch.equal(unpack_inr(again, origin="a.inr").params["a"], back.params["a"])


def test_what_does_not_fit_together_is_refused_before_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scales of another shape, or of nothing; rows that are not one for each signal; a number format that is none."""
    with pytest.raises(UsageError, match="must be one of fp32, bf16, int8"):
        pack_inr(signal(), "fp8")
    pack = tensorfile.pack

    def altered(change: dict[str, torch.Tensor]) -> bytes:
        with monkeypatch.context() as there:
            there.setattr(tensorfile, "pack", lambda tensors, *how, **more: pack({**tensors, **change}, *how, **more))
            return pack_inr(several(), "int8")

    for name, tensor, said in (
        ("scale.params.layer0", torch.ones(3, 5), r"expected scales of 'params\.layer0', float32 \(3, 5, 1\)"),
        ("scale.params.none", torch.ones(1), "expected scales of tensors that are there"),
        ("params.layer1", torch.ones(2, 5), "expected 3 rows of 'layer1'"),
        ("params.layer1", torch.ones(()), "expected 3 rows of 'layer1'"),
    ):
        with pytest.raises(DataError, match=said):
            unpack_inr(altered({name: tensor}), origin="a.inr")
