"""What each rank does in the test of tasks that no rank has a label of."""

import torch
from mmengine.model import MMDistributedDataParallel
from tiny import make_samples, tiny_model_config

from mtpsl.engine import FiniteOptimWrapper
from mtpsl.registry import MODELS


def step_on_ranks(folder: str) -> list[tuple[str, list[str]]]:
    """Two steps with each optimiser; the parts of the model that stayed as they were.

    Rank 0 has labels of semseg and saliency, rank 1 of normal.
    """
    from test_engine.test_parted_groups import OPTIMIZERS, still
    torch.distributed.init_process_group('gloo')
    labels = [['semseg', 'saliency'], ['normal']][torch.distributed.get_rank()]
    found = []
    for kind, make in OPTIMIZERS.items():
        torch.manual_seed(0)
        model = MODELS.build(tiny_model_config())
        wrapped = MMDistributedDataParallel(model, device_ids=None, broadcast_buffers=False)
        wrapper = FiniteOptimWrapper(make(wrapped.parameters()), clip_grad=dict(max_norm=10))
        before = {name: p.clone() for name, p in model.named_parameters()}
        for _ in range(2):
            wrapped.train_step(dict(
                inputs=[torch.randint(0, 256, (3, 64, 64), dtype=torch.uint8)],
                data_samples=make_samples([labels])), wrapper)
        total = torch.stack([p.double().sum() for p in model.parameters()])
        sums = [torch.zeros_like(total) for _ in range(2)]
        torch.distributed.all_gather(sums, total)
        assert torch.equal(*sums)
        found.append((kind, sorted(still(model, before))))
    return found
