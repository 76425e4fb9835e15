"""Flags of published training scripts and constructors, read strictly.

Values may be what a JSON file holds or what a shell script passes: ``"16"``, ``"False"`` and
``"1e-5"`` mean what they look like, and ``--n-class`` is ``n_class``.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, TypeVar

from aum_edge.errors import RecipeError

T = TypeVar("T")
NESTED = ("vision_mamba_config", "hyper_parameters")
TRAINING_ONLY = frozenset(
    "adaptschedule aum_pretrain_path bal batch_size bs_scale_factor class_ cluster cluster_factor "
    "data_eval data_train data_val drop_rate epoch epoch_iter exp_dir exp_name flexible_p_end "
    "flexible_p_start flexible_p_step flexible_patch_sizes flexible_training freqm "
    "fused_add_norm head_lr if_continue_inf if_nan2num imagenet_pretrain_path "
    "load_pretrained_mdl_path lr lr_patience lrscheduler_decay lrscheduler_start "
    "lrscheduler_step mask_patch metrics mixup mixup_alpha model model_size_name n_epochs "
    "n_print_steps noise num_workers optim optim_path precompute_for pretrained_mdl_path "
    "residual_in_fp32 run_type "
    "save_model skip_norm timem tr_data te_data use_wandb wa wa_end wa_start warmup weight_decay "
    "project_name experiment_name".split()
)
"""How upstream trained or computed, which changes no weight's meaning."""


class Flags:
    """Named values that are taken one by one; what nobody took is an error at the end."""

    def __init__(self, values: Mapping[str, Any] | None) -> None:
        self._values: dict[str, Any] = {}
        self._taken: set[str] = set()
        self._known: set[str] = set(TRAINING_ONLY)
        for name, value in (values or {}).items():
            nested = name in NESTED and isinstance(value, Mapping)
            for key, item in value.items() if nested else [(name, value)]:
                self._values[str(key).lstrip("-").replace("-", "_")] = item

    def has(self, *names: str) -> bool:
        """Whether one of the names is given and is not null."""
        self._known.update(names)
        return any(self._values.get(name) is not None for name in names)

    def take(self, default: T, *names: str) -> T:
        """The value under the first of the names that is given, as the default's type.

        Raises:
            RecipeError: If two names disagree or the value is of another type.
        """
        self._known.update(names)
        self._taken.update(names)
        found = {n: self._values[n] for n in names if self._values.get(n) is not None}
        if not found:
            return default
        values = {name: _as(type(default), name, value) for name, value in found.items()}
        first = next(iter(values.values()))
        if first != first:
            raise RecipeError(f"The flag `{next(iter(found))}` is NaN.")
        if any(value != first for value in values.values()):
            raise RecipeError(f"The flags {' and '.join(found)} disagree: {values}.")
        return first

    def ignore(self, *names: str) -> None:
        """Accept flags whatever they say."""
        self._known.update(names)
        self._taken.update(names)

    def refuse(self, allowed: Any, *names: str) -> None:
        """Refuse any other value than ``allowed`` of flags that have no counterpart here.

        Raises:
            RecipeError: Naming the flag and its value.
        """
        for name in names:
            value = self.take(allowed, name)
            if value != allowed:
                raise RecipeError(
                    f"The flag `{name}` = {value!r} is not supported, only {allowed!r}: no "
                    "published checkpoint uses it."
                )

    def finish(self) -> None:
        """Every given flag was understood.

        Raises:
            RecipeError: Naming those that were not, with the nearest known name.
        """
        unknown = sorted(self._values.keys() - self._taken - TRAINING_ONLY)
        if not unknown:
            return
        near = get_close_matches(unknown[0], self._known, 1)
        hint = f"; did you mean `{near[0]}`" if near else ""
        raise RecipeError(f"Unknown flag {', '.join(unknown)}{hint}.")


def _as(kind: type, name: str, value: Any) -> Any:
    """``value`` as the wanted type; texts are read as a shell script means them."""
    if isinstance(value, str) and kind is not str:
        value = _literal(value)
    if kind is tuple:
        pair = tuple(value) if isinstance(value, list | tuple) else (value, value)
        if len(pair) != 2 or not all(isinstance(item, int) for item in pair):
            raise RecipeError(f"The flag `{name}` must be one or two integers, got {value!r}.")
        return pair
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is not type(None) and type(value) is not kind:
        raise RecipeError(f"The flag `{name}` must be a {kind.__name__}, got {value!r}.")
    return value


def _literal(text: str) -> Any:
    lowered = text.strip().lower()
    if lowered in ("true", "false"):
        return lowered == "true"
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text
