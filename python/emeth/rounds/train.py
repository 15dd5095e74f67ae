"""The `train` child: one plain loop over the blocks of a lease.

A round is a function of θ, the shard and its position: optimisers start afresh each round, so anybody can replay one
and a worker that restarts has lost nothing. With AdamW on English bytes, two workers and H = 50, that was measured to
cost 1.4 % more loss than keeping its state, and 0.2 % with the short warm-up below.
"""

import math
import time
from contextlib import AbstractContextManager, nullcontext
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from emeth.data.sequences import Sequences, read_shard
from emeth.files.philox import words
from emeth.files.tensors import FileRef, TensorFileError
from emeth.models.network import tensors_of
from emeth.models.program import open_program, trained_tensors
from emeth.rounds.compare import distance
from emeth.rounds.end_theta import write_update
from emeth.rounds.held_theta import HeldTheta
from emeth.rounds.optimiser import make_optimiser
from emeth.rounds.probe import make_probe
from emeth.rounds.team import CANCEL, CLOSE, DIVERGED, GO, Solo, Team
from emeth.wire.commands import (
    Compare,
    ProbeMake,
    RoundCancel,
    RoundRun,
    TrainCommand,
    parse_train_command,
)
from emeth.wire.events import Failure, Inbox, InboxClosed, Outbox
from emeth.wire.params import InnerParams
from emeth.wire.parse import ParseError, parse_json
from emeth.wire.spec import TrainSpec

# Steps over which the rate rises from nothing at the start of each round, while moments are still guesses.
ROUND_WARMUP_STEPS = 10
_PROGRESS_SECONDS = 1.0
_CURVE_POINTS = 16
_DROPOUT_PURPOSE = 2
# Says that the first process is still there, and has nothing to do yet.
_BEAT = b"\n"


def run(spec: TrainSpec, inbox: Inbox | None, outbox: Outbox | None, team: Team | None = None) -> None:
    """Answer commands until stdin ends. Only the first process of a team has an inbox and an outbox."""
    trainer = Trainer(spec, inbox, outbox, team or Solo())
    trainer.say_ready()
    while True:
        trainer.answer(trainer.next_line())


def learning_rate(inner: InnerParams, position: int, total: int) -> float:
    """The job-wide schedule: a linear rise, then half a cosine down to `min_lr_ratio`; a function of position alone."""
    done = (position + 1) / total
    if done < inner.warmup:
        return inner.lr * done / inner.warmup
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, (done - inner.warmup) / (1 - inner.warmup))))
    return inner.lr * (inner.min_lr_ratio + (1 - inner.min_lr_ratio) * cosine)


def round_warmup(step: int, steps: int) -> float:
    """The factor on the rate at a step of a round; never more than a fifth of the round is spent on it."""
    return min(1.0, (step + 1) / max(1, min(ROUND_WARMUP_STEPS, steps // 5)))


def mean_over_targets(losses: NDArray[np.float64], blocks: Sequences) -> float:
    """The mean loss of blocks; each weighs as many targets as count in it."""
    weights = [blocks[i].num_targets for i in range(len(blocks))]
    return float(losses @ np.array(weights)) / max(1, sum(weights))


def _diverged() -> Failure:
    return Failure("train/diverged", "The loss is not a finite number any more; a lower learning rate may help.")


class Trainer:
    """One job's model on one device, kept across rounds."""

    def __init__(self, spec: TrainSpec, inbox: Inbox | None, outbox: Outbox | None, team: Team) -> None:
        self._spec = spec
        self._params = spec.params
        self._inbox = inbox
        self._outbox = outbox
        self._team = team
        self._device = torch.device(team.device(spec.device))
        program = open_program(spec.params, spec.vocab_size, spec.base)
        self._layout = program.layout
        self._num_parameters = program.num_parameters
        self._model = team.build(program, self._device).train()
        self._weights = trained_tensors(self._model, self._layout)
        self._network = team.wrap(self._model)
        lora = spec.params.lora
        self._has_dropout = spec.params.model.dropout > 0 or (lora is not None and lora.dropout > 0)
        # A job that asks for parts never has more rows at once, whatever the worker has memory for.
        self._rows = min(spec.micro_batch, -(-spec.params.batch // spec.params.accumulate))
        self._theta = HeldTheta(self._layout, spec.params.codec, spec.work_dir)
        self._has_diverged = False

    def say_ready(self) -> None:
        """Report to the parent that commands may be sent."""
        self._emit(
            "ready",
            device=str(self._device),
            threads=torch.get_num_threads(),
            kernels=torch.backends.cpu.get_cpu_capability(),
            parameters=self._num_parameters,
        )

    def next_line(self) -> bytes:
        """The next command, the same for every process of the team."""
        while (line := self._team.share(self._own_line())) == _BEAT:
            continue
        if not line:
            raise InboxClosed
        return line

    def _own_line(self) -> bytes | None:
        """The next command, or a sign of life; empty at the end. Nothing on other processes than the first."""
        if self._inbox is None:
            return None
        try:
            return self._inbox.next_line_within(self._team.beat_seconds) or _BEAT
        except InboxClosed:
            return b""

    def answer(self, line: bytes) -> None:
        """Run one command; a failure becomes its answer."""
        value = parse_json(line)
        command_id = value.get("id") if isinstance(value, dict) else None
        if not isinstance(command_id, int):
            raise ParseError("The command has no id.")
        try:
            self._do(parse_train_command(value))
        except Failure as error:
            self._fail(command_id, error.code, str(error))
        except TensorFileError as error:
            self._fail(command_id, "model/bad-file", str(error))
        except ParseError as error:
            self._fail(command_id, "command/invalid", str(error))
        except OSError as error:
            self._fail(command_id, "data/io", f"A file could not be read or written: {error}.")
        except (RuntimeError, MemoryError) as error:
            self._fail_of_memory(command_id, error)

    def _do(self, command: TrainCommand) -> None:
        match command:
            case RoundRun():
                return self._run_round(command)
            case ProbeMake():
                return self._make_probe(command)
            case Compare():
                return self._compare(command)
            case RoundCancel():
                raise Failure("train/canceled", "No round is running.")

    def _make_probe(self, command: ProbeMake) -> None:
        if self._outbox is None:
            return
        theta, shard = make_probe(self._spec, command)
        self._emit("probe.made", id=command.id, theta=theta.json(), shard=shard.json())

    def _compare(self, command: Compare) -> None:
        if self._outbox is not None:
            found = distance(command.update, command.expected, self._params.codec, self._layout)
            self._emit("compared", id=command.id, distance=found)

    def _run_round(self, command: RoundRun) -> None:
        began = time.monotonic()
        params = self._params
        shard = self._team.blocks(self._team.first(lambda: self._read(command)))
        self._load_theta()
        losses = self._train(command, shard)
        if not np.isfinite(losses).all():
            raise _diverged()
        update, end_theta = self._write_update(command.out)
        self._emit(
            "round.done",
            id=command.id,
            update=update and update.json(),
            tokens=len(shard) * params.batch * params.model.context,
            loss=mean_over_targets(losses, shard),
            lossCurve=[
                mean_over_targets(losses[part], shard[part])
                for part in np.array_split(np.arange(len(losses)), min(_CURVE_POINTS, len(losses)))
            ],
            seconds=time.monotonic() - began,
            endTheta=end_theta,
        )

    def _train(self, command: RoundRun, shard: Sequences) -> NDArray[np.float64]:
        """The inner loop; returns the loss of every block."""
        inner, steps = self._params.inner, len(shard)
        self._has_diverged = False
        optimiser = make_optimiser(self._model, inner)
        losses = torch.zeros(steps, device=self._device)
        reported, reported_at = 0, time.monotonic()
        for step in range(steps):
            self._stop_if_told(command.id)
            position = command.start + step
            rate = learning_rate(inner, position, self._spec.total_blocks) * round_warmup(step, steps)
            optimiser.set_rate(rate)
            losses[step] = self._gradients(shard[step], position)
            nn.utils.clip_grad_norm_(self._model.parameters(), inner.clip)
            optimiser.step()
            self._model.zero_grad(set_to_none=True)
            if time.monotonic() - reported_at >= _PROGRESS_SECONDS:
                done = slice(reported, step + 1)
                self._report(command.id, losses[done], shard[done], (step + 1, steps), time.monotonic() - reported_at)
                reported, reported_at = step + 1, time.monotonic()
        return self._team.total(losses).double().cpu().numpy()

    def _gradients(self, block: Sequences, position: int) -> Tensor:
        """Accumulate the gradient of a block, micro-batch by micro-batch; returns this process's part of its loss."""
        batch, team = len(block), self._team
        if self._has_dropout:
            torch.manual_seed(int(words(1, self._params.seed, _DROPOUT_PURPOSE + team.rank, position)[0] >> 1))
        targets = max(1, block.num_targets)
        parts = team.parts(batch, self._rows)
        total = torch.zeros((), device=self._device)
        for i, (rows, weight) in enumerate(parts):
            micro = block[rows]
            tokens, mask = tensors_of(micro, self._device)
            with team.no_sync(self._network) if i + 1 < len(parts) else nullcontext(), self._autocast():
                loss = self._network(tokens[:, :-1], tokens[:, 1:], mask) * (weight * micro.num_targets / targets)
            # The factor undoes DDP's averaging over processes: the parts of a block are summed.
            (loss * team.size).backward()
            total += loss.detach()
        return total

    def _autocast(self) -> AbstractContextManager[object]:
        precision = self._params.precision
        auto = precision == "auto" and self._device.type == "cuda" and torch.cuda.is_bf16_supported()
        if precision == "bf16" or auto:
            return torch.autocast(self._device.type, torch.bfloat16)
        return nullcontext()

    def _read(self, command: RoundRun) -> Sequences:
        """The blocks of a command; its θ becomes the held one."""
        params = self._params
        shard = read_shard(command.shard, params.batch, params.model.context, self._spec.vocab_size)
        self._theta.take(command.theta)
        return shard

    def _load_theta(self) -> None:
        """Put the held θ into the model."""
        with torch.no_grad():
            for name, weight in self._weights.items():
                self._team.put(weight, partial(self._theta.read, name))

    def _write_update(self, out: str) -> tuple[FileRef | None, str | None]:
        """The update, and where it leads, by the first process; the others help to gather, also when that fails."""
        left = list(self._layout)

        def weights_of(name: str) -> Tensor:
            left.remove(name)
            return self._team.whole(self._weights[name]).detach().cpu()

        try:
            if not self._outbox:
                return None, None
            return write_update(out, self._params.codec, self._layout, self._theta.read, weights_of)
        finally:
            for name in left:
                self._team.whole(self._weights[name])

    def _stop_if_told(self, command_id: int) -> None:
        """Between two steps: is the parent gone, or has it cancelled this round?"""
        order = GO
        if self._inbox is not None:
            order = self._order(self._inbox, command_id)
        order = self._team.agree(order)
        if order == CLOSE:
            raise InboxClosed
        if order == CANCEL:
            raise Failure("train/canceled", "The round was canceled.")
        if order == DIVERGED:
            raise _diverged()

    def _order(self, inbox: Inbox, command_id: int) -> int:
        try:
            waiting = list(inbox.waiting_lines())
        except InboxClosed:
            return CLOSE
        order = DIVERGED if self._has_diverged else GO
        for line in waiting:
            value = parse_json(line)
            if isinstance(value, dict) and value.get("type") == "round.cancel":
                inbox.discard(line)
                order = CANCEL
                # A cancel may carry the round's id or one of its own; each id gets its answer.
                if value.get("id") != command_id:
                    self._fail(value["id"], "train/canceled", "The round was canceled.")
        return order

    def _report(self, command_id: int, losses: Tensor, blocks: Sequences, at: tuple[int, int], seconds: float) -> None:
        if self._outbox is None:
            return
        # A process knows only its own rows' losses until the round ends; scaled up, they estimate the whole.
        parts = self._team.parts(self._params.batch, self._rows)
        own = sum(weight * blocks[i][rows].num_targets for i in range(len(blocks)) for rows, weight in parts)
        loss = mean_over_targets(losses.double().cpu().numpy(), blocks) * blocks.num_targets / max(1.0, own)
        if not math.isfinite(loss):
            # All processes end the round together, before their next step.
            self._has_diverged = True
            return
        tokens = len(losses) * self._params.batch * self._params.model.context
        step, steps = at
        self._emit(
            "progress", id=command_id, step=step, steps=steps, loss=loss, tokensPerSecond=tokens / max(seconds, 1e-9)
        )

    def _fail(self, command_id: int, code: str, message: str) -> None:
        self._model.zero_grad(set_to_none=True)
        self._emit("failed", id=command_id, code=code, message=message)

    def _fail_of_memory(self, command_id: int, error: RuntimeError | MemoryError) -> None:
        known = isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in str(error)
        if not known:
            raise error
        micro = self._rows
        message = f"The device ran out of memory with micro-batches of {micro}; a smaller microBatch needs less."
        self._fail(command_id, "train/oom", message)
        if self._team.size > 1:
            raise MemoryError(message) from error
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _emit(self, kind: str, **fields: object) -> None:
        if self._outbox is not None:
            self._outbox.emit(kind, **fields)
