"""Global task tokens over the stages of a backbone (HiTTs).

Shapes: B samples, T tasks, C channels of a stage of h x w, D channels of a head.
"""

from collections.abc import Container, Mapping, Sequence

import torch
import torch.nn.functional as F
from mmcv.cnn import build_norm_layer
from torch import Tensor, nn

from mtpsl.models.to_device import resize


def conv_norm_relu(channels: int, norm_cfg: dict) -> nn.Sequential:
    """Return a 3x3 convolution (its bias has no effect, as published), normalisation and ReLU."""
    return nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1),
                         build_norm_layer(norm_cfg, channels)[1], nn.ReLU(inplace=True))


class ScaleExchange(nn.Module):
    """Attend with task tokens to one stage, and exchange the result between tasks.

    Each token passes a linear layer of its task. Its product with the pixels x of the stage gives
    the attention map a_t in (0, 1), and f_t = a_t x is the task's feature. A T x T attention
    between the tokens, equal for all images, mixes tokens and features of the tasks. Since all f_t
    share x, only the maps a_t need to be mixed.

    Args:
        tasks: names of the tasks.
        token_channels: channels of the global tokens.
        channels: C.
    """

    def __init__(self, tasks: Sequence[str], token_channels: int, channels: int) -> None:
        super().__init__()
        self.down = nn.ModuleDict({name: nn.Linear(token_channels, channels) for name in tasks})
        self.reduce = nn.Conv2d(channels, channels, 1, groups=channels)
        self.query = nn.Linear(channels, channels)
        self.key = nn.Linear(channels, channels)

    def forward(self, stage: Tensor, tokens: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Map (B, C, h, w) and global tokens (1, .) to maps (B, T, h, w) and tokens (T, C)."""
        own = torch.cat([down(tokens[name]) for name, down in self.down.items()])
        maps = F.conv2d(self.reduce(stage), own[..., None, None]).sigmoid()
        scale = own.shape[1] ** -0.5
        mixing = (self.query(own) @ self.key(own).T * scale).softmax(1)
        return F.conv2d(maps, mixing[..., None, None].to(maps.dtype)), mixing @ own


class TokenExchange(nn.Module):
    """The global tokens and their exchange at each stage, between all tasks, labelled or not.

    Args:
        tasks: names of the tasks.
        in_channels: channels of the stages; the global tokens have those of the last.
        train_tokens: whether to train the global tokens.
    """

    def __init__(self, tasks: Sequence[str], in_channels: Sequence[int],
                 train_tokens: bool) -> None:
        super().__init__()
        # nn.Embedding initialises its row from N(0, 1).
        self.globals = nn.ModuleDict({name: nn.Embedding(1, in_channels[-1]) for name in tasks})
        self.globals.requires_grad_(train_tokens)
        self.scales = nn.ModuleList(
            ScaleExchange(tasks, in_channels[-1], channels) for channels in in_channels)

    def forward(self, stages: Sequence[Tensor]) -> list[dict[str, tuple[Tensor, Tensor]]]:
        """Return, for each stage, the mixed map (B, 1, h, w) and token (C,) by task."""
        tokens = {name: part.weight for name, part in self.globals.items()}
        mixed = [scale(stage, tokens) for scale, stage in zip(self.scales, stages)]
        return [{name: (maps[:, k, None], own[k]) for k, name in enumerate(tokens)}
                for maps, own in mixed]


class TaskBranch(nn.Module):
    """Fuse one task's maps and tokens of all stages to the feature and the token of its head.

    Args:
        in_channels: channels of the stages.
        channels: channels of the feature.
        head_channels: D.
        norm_cfg: normalisation config of mmcv.
    """

    def __init__(self, in_channels: Sequence[int], channels: int, head_channels: int,
                 norm_cfg: dict) -> None:
        super().__init__()
        self.refine = nn.ModuleList(conv_norm_relu(own, norm_cfg) for own in in_channels)
        self.up = nn.ModuleList(nn.Linear(own, head_channels) for own in in_channels)
        self.fuse = nn.Conv2d(sum(in_channels), channels, 1)

    def forward(self, stages: Sequence[Tensor],
                mixed: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        """Map stages, and the task's map and token of each, to (B, channels, h, w) and (D,)."""
        maps = [refine(stage * own) for refine, stage, (own, _) in zip(self.refine, stages, mixed)]
        full = [maps[0], *(resize(one, maps[0].shape[-2:]) for one in maps[1:])]
        tokens = [up(own) for up, (_, own) in zip(self.up, mixed)]
        return self.fuse(torch.cat(full, 1)), torch.stack(tokens).sum(0)


class TaskTokens(nn.Module):
    """Compute the feature and the token of each task's head from a backbone's stages.

    Args:
        tasks: names of the tasks.
        in_channels: channels of the stages.
        channels: channels of the features.
        head_channels: D.
        norm_cfg: normalisation config of mmcv.
        train_tokens: see :class:`TokenExchange`.
    """

    def __init__(self, tasks: Sequence[str], in_channels: Sequence[int], channels: int,
                 head_channels: int, norm_cfg: dict, train_tokens: bool) -> None:
        super().__init__()
        self.exchange = TokenExchange(tasks, in_channels, train_tokens)
        self.branches = nn.ModuleDict({
            name: TaskBranch(in_channels, channels, head_channels, norm_cfg) for name in tasks})

    def forward(self, stages: Sequence[Tensor], learning: Container[str] | None = None,
                tasks: Container[str] | None = None) -> dict[str, tuple[Tensor, Tensor]]:
        """Map stages, finest first, to (B, channels, h, w) at the first's size and (D,), by task.

        Args:
            stages: (B, C, h, w) each.
            learning: tasks whose branches need gradients; None is all.
            tasks: tasks to return; None is all.
        """
        mixed = self.exchange(stages)
        found = {}
        for name, branch in self.branches.items():
            if tasks is not None and name not in tasks:
                continue
            with torch.set_grad_enabled(torch.is_grad_enabled()
                                        and (learning is None or name in learning)):
                found[name] = branch(stages, [scale[name] for scale in mixed])
        return found
