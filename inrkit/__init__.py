"""inrkit: one hyper-network that encodes signals into implicit neural representations, generates and edits them.

The five nouns:

    Observation   values, and where they were measured
    Denoiser      noisy observation → params
    INRFunction   (params, coordinates) → outputs
    Transform     (field, where) → values
    Modality      all that is particular to one kind of signal; what a plugin hands over

Public names are imported when they are first used, so that ``import inrkit`` costs no torch.
"""

import ast
import importlib
from pathlib import Path
from typing import TYPE_CHECKING

__version__ = "0.2.0"

if TYPE_CHECKING:  # the list of public names: type checkers follow it, and a running program reads it below
    from inrkit.config.parts import check_parts as check_parts
    from inrkit.config.parts import make_denoiser as make_denoiser
    from inrkit.config.parts import make_features as make_features
    from inrkit.config.parts import make_function as make_function
    from inrkit.config.resolve import Resolved as Resolved
    from inrkit.config.resolve import resolve as resolve
    from inrkit.config.run import Phase as Phase
    from inrkit.config.run import RunConfig as RunConfig
    from inrkit.config.toml import parse_options as parse_options
    from inrkit.core.denoiser import Denoiser as Denoiser
    from inrkit.core.denoiser import Level as Level
    from inrkit.core.dice import Dice as Dice
    from inrkit.core.draws import Draws as Draws
    from inrkit.core.draws import seed_of as seed_of
    from inrkit.core.dropout import SharedDropout as SharedDropout
    from inrkit.core.dropout import shared_dropout as shared_dropout
    from inrkit.core.edit.between import interpolate as interpolate
    from inrkit.core.edit.operator import ChannelMean as ChannelMean
    from inrkit.core.edit.operator import KnownCells as KnownCells
    from inrkit.core.edit.operator import Measured as Measured
    from inrkit.core.edit.operator import Operator as Operator
    from inrkit.core.edit.operator import PatchMeans as PatchMeans
    from inrkit.core.edit.task import Denoise as Denoise
    from inrkit.core.edit.task import Edit as Edit
    from inrkit.core.edit.task import Restore as Restore
    from inrkit.core.edit.task import Stroke as Stroke
    from inrkit.core.edit.task import descending as descending
    from inrkit.core.edit.task import noise_level as noise_level
    from inrkit.core.glsl import Shader as Shader
    from inrkit.core.gradient import gradient_norms as gradient_norms
    from inrkit.core.gradient import gradient_shares as gradient_shares
    from inrkit.core.guide import Estimate as Estimate
    from inrkit.core.guide import Guided as Guided
    from inrkit.core.inr import Field as Field
    from inrkit.core.inr import INRFunction as INRFunction
    from inrkit.core.inr import Params as Params
    from inrkit.core.karras import karras_levels as karras_levels
    from inrkit.core.kept import Kept as Kept
    from inrkit.core.measure import Measure as Measure
    from inrkit.core.modality import Display as Display
    from inrkit.core.modality import Modality as Modality
    from inrkit.core.modality import Original as Original
    from inrkit.core.modality import Signals as Signals
    from inrkit.core.modality import Source as Source
    from inrkit.core.noise import DirectReadout as DirectReadout
    from inrkit.core.noise import LiteralReadout as LiteralReadout
    from inrkit.core.noise import LogNormal as LogNormal
    from inrkit.core.noise import Preconditioning as Preconditioning
    from inrkit.core.noise import Readout as Readout
    from inrkit.core.noise import TwoHeadedReadout as TwoHeadedReadout
    from inrkit.core.noise import make_readout as make_readout
    from inrkit.core.objective.base import Distilled as Distilled
    from inrkit.core.objective.base import Loss as Loss
    from inrkit.core.objective.base import Objective as Objective
    from inrkit.core.objective.base import Step as Step
    from inrkit.core.objective.continuous import Diffusion as Diffusion
    from inrkit.core.objective.continuous import Ect as Ect
    from inrkit.core.objective.discrete import CmFunc as CmFunc
    from inrkit.core.objective.discrete import Ct as Ct
    from inrkit.core.objective.discrete import Ict as Ict
    from inrkit.core.objective.distill import Cd as Cd
    from inrkit.core.objective.inrct import Inrct as Inrct
    from inrkit.core.objective.inrct import Reconstruction as Reconstruction
    from inrkit.core.observation import Batch as Batch
    from inrkit.core.observation import Observation as Observation
    from inrkit.core.observation import Views as Views
    from inrkit.core.observation import expand as expand
    from inrkit.core.option import Check as Check
    from inrkit.core.option import at_least as at_least
    from inrkit.core.option import between as between
    from inrkit.core.option import bounded as bounded
    from inrkit.core.option import option as option
    from inrkit.core.pipeline import Pipeline as Pipeline
    from inrkit.core.pipeline import Prediction as Prediction
    from inrkit.core.resolution import parse_size as parse_size
    from inrkit.core.sample import ConsistencySampler as ConsistencySampler
    from inrkit.core.sample import EulerSampler as EulerSampler
    from inrkit.core.sample import HeunSampler as HeunSampler
    from inrkit.core.sample import Sampler as Sampler
    from inrkit.core.sample import sample as sample
    from inrkit.core.size import Size as Size
    from inrkit.core.surface import Mesh as Mesh
    from inrkit.core.surface import Surface as Surface
    from inrkit.core.surface import mesh_of as mesh_of
    from inrkit.core.timing import SigmoidPairing as SigmoidPairing
    from inrkit.core.train import ConstantEMA as ConstantEMA
    from inrkit.core.train import PowerEMA as PowerEMA
    from inrkit.core.transform import Rendered as Rendered
    from inrkit.core.transform import Transform as Transform
    from inrkit.core.view import View as View
    from inrkit.errors import DataError as DataError
    from inrkit.errors import DivergedError as DivergedError
    from inrkit.errors import InrkitError as InrkitError
    from inrkit.errors import PluginError as PluginError
    from inrkit.errors import ResourceError as ResourceError
    from inrkit.errors import UsageError as UsageError
    from inrkit.errors import did_you_mean as did_you_mean
    from inrkit.gridded.augmentation import Augmentation as Augmentation
    from inrkit.gridded.importing import FilesImporter as FilesImporter
    from inrkit.gridded.importing import FilesOptions as FilesOptions
    from inrkit.gridded.modality import GridModality as GridModality
    from inrkit.gridded.options import GridOptions as GridOptions
    from inrkit.gridded.options import tiny_preset as tiny_preset
    from inrkit.gridded.picture import curves as curves
    from inrkit.gridded.picture import heat as heat
    from inrkit.gridded.picture import maps as maps
    from inrkit.gridded.picture import pictures_of_grid as pictures_of_grid
    from inrkit.gridded.picture import spectrograms as spectrograms
    from inrkit.gridded.published import inrct_preset as inrct_preset
    from inrkit.gridded.published import paper_preset as paper_preset
    from inrkit.gridded.source import DrawnSignals as DrawnSignals
    from inrkit.gridded.split import read_split as read_split
    from inrkit.gridded.wav import read_wav as read_wav
    from inrkit.gridded.wav import write_wav as write_wav
    from inrkit.hookspecs import Register as Register
    from inrkit.hookspecs import hookimpl as hookimpl
    from inrkit.inference.encodeset import encode_set as encode_set
    from inrkit.inference.export import Exporter as Exporter
    from inrkit.inference.export import export as export
    from inrkit.inference.given import Given as Given
    from inrkit.inference.model import Model as Model
    from inrkit.inference.model import load as load
    from inrkit.inference.opened import Opened as Opened
    from inrkit.inference.opened import open_inr as open_inr
    from inrkit.inference.opened import render as render
    from inrkit.inference.opened import render_with_depth as render_with_depth
    from inrkit.inference.times import make_sampler as make_sampler
    from inrkit.machine.signals import process_setup as process_setup
    from inrkit.metrics.feature import Classifier as Classifier
    from inrkit.metrics.feature import FeatureNetwork as FeatureNetwork
    from inrkit.metrics.feature import Features as Features
    from inrkit.metrics.metric import psnr as psnr
    from inrkit.metrics.metric import ssim as ssim
    from inrkit.nn.attention import Attention as Attention
    from inrkit.nn.attention import ConditionedNorm as ConditionedNorm
    from inrkit.nn.attention import DecoderBlock as DecoderBlock
    from inrkit.nn.attention import EncoderBlock as EncoderBlock
    from inrkit.nn.attention import FeedForward as FeedForward
    from inrkit.nn.attention import attend as attend
    from inrkit.nn.condition import Condition as Condition
    from inrkit.nn.fourier import FourierFeatures as FourierFeatures
    from inrkit.nn.fourier import grid_centers as grid_centers
    from inrkit.nn.fourier import noise_level_features as noise_level_features
    from inrkit.nn.grid import Grid as Grid
    from inrkit.nn.grid import GridObservation as GridObservation
    from inrkit.nn.grid import SampleGrid as SampleGrid
    from inrkit.nn.grid import jitter as jitter
    from inrkit.nn.head import ColumnHead as ColumnHead
    from inrkit.nn.head import GridHead as GridHead
    from inrkit.nn.head import TokenHead as TokenHead
    from inrkit.nn.head import WeightHead as WeightHead
    from inrkit.nn.head import make_heads as make_heads
    from inrkit.nn.hyper import HyperTransformer as HyperTransformer
    from inrkit.nn.precision import full_precision as full_precision
    from inrkit.nn.resample import resample as resample
    from inrkit.nn.space import closed_axes as closed_axes
    from inrkit.nn.space import features_for as features_for
    from inrkit.nn.space import on_sphere as on_sphere
    from inrkit.nn.space import position_embedding as position_embedding
    from inrkit.nn.tokenizer import PatchTokenizer as PatchTokenizer
    from inrkit.nn.tokenizer import Tokenizer as Tokenizer
    from inrkit.nn.tokenizer import patchify as patchify
    from inrkit.nn.tokenizer import unpatchify as unpatchify
    from inrkit.plugins import load_plugins as load_plugins
    from inrkit.plugins.registry import Entry as Entry
    from inrkit.plugins.registry import Registry as Registry
    from inrkit.progress import Progress as Progress
    from inrkit.progress import TextBar as TextBar
    from inrkit.progress import folded as folded
    from inrkit.progress import quiet as quiet
    from inrkit.storage.atomic import write_bytes as write_bytes
    from inrkit.storage.cache import cache_folder as cache_folder
    from inrkit.storage.entries import Entries as Entries
    from inrkit.storage.entries import OneFile as OneFile
    from inrkit.storage.entries import below as below
    from inrkit.storage.entries import open_entries as open_entries
    from inrkit.storage.importer import Importer as Importer
    from inrkit.storage.inrfile import InrFile as InrFile
    from inrkit.storage.inrfile import load_inr as load_inr
    from inrkit.storage.inrfile import load_inrs as load_inrs
    from inrkit.storage.inrfile import pack_inr as pack_inr
    from inrkit.storage.inrfile import save_inr as save_inr
    from inrkit.storage.inrfile import unpack_inr as unpack_inr
    from inrkit.storage.opener import SourceOpener as SourceOpener
    from inrkit.storage.store import Store as Store
    from inrkit.storage.storewriter import StoreWriter as StoreWriter
    from inrkit.storage.storewriter import write_store as write_store
    from inrkit.training.forecast import Forecast as Forecast
    from inrkit.training.forecast import dry_run as dry_run
    from inrkit.training.run import train as train
    from inrkit.training.tracker import Tracker as Tracker


def _homes() -> dict[str, str]:
    """Each public name with the module that holds it, as the imports above say."""
    names = next(node.body for node in ast.parse(Path(__file__).read_bytes()).body if isinstance(node, ast.If))
    return {alias.name: str(node.module) for node in names if isinstance(node, ast.ImportFrom) for alias in node.names}


_HOME = _homes()
__all__ = sorted([*_HOME, "__version__"])

if not TYPE_CHECKING:  # a type checker that knew `__getattr__` would let any misspelt name pass

    def __getattr__(name: str) -> object:
        if name not in _HOME:
            raise AttributeError(f"module 'inrkit' has no attribute '{name}'")
        return getattr(importlib.import_module(_HOME[name]), name)

    def __dir__() -> list[str]:
        return __all__
