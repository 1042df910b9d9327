"""A training step and a prediction of every case on fake CUDA; prints what came of them as JSON."""

import json
import sys
from contextlib import nullcontext, redirect_stdout

import torch
from mmengine.optim import build_optim_wrapper
from test_gpu.cases import SIZE, config, loaded, maps_of
from test_gpu.count import Counter
from test_gpu.fake import FAKE, Copies, set_up, to_fake, tried
from test_gpu.table import CASES, METHODS, OTHERS

from mtpsl.apis.deployment import Deployed

# A step costs seconds: each type and each kind of batch once; of a method's variants the usual one,
# since the losses without labels and in float32 are the method's.
ALL = dict(float32=('one',), bf16=('none', 'all'))
SOME = dict(bf16=('one',))


def steps(case: str) -> tuple[dict[str, str], dict[str, dict]]:
    """What each step of a case ended with, and what the last one and a prediction took."""
    model, wrapper = config(case)
    to_fake(model)
    found, counter = {}, Counter()
    for dtype, kinds in (ALL if case in METHODS + OTHERS else SOME).items():
        model.train()
        wrapper.type = 'AutocastOptimWrapper' if dtype == 'bf16' else 'FiniteOptimWrapper'
        optim_wrapper = build_optim_wrapper(model, wrapper)
        for labels in kinds:
            data = loaded(model, labels)
            # Only the step with a budget is counted: that takes a third of its time.
            counted = case in METHODS and (dtype, labels) == ('bf16', 'all')
            with FAKE, counter if counted else nullcontext(), Copies():
                found[f'train {dtype} {labels}'] = tried(
                    lambda: model.train_step(data, optim_wrapper))  # noqa: B023
        model.eval()
    if case in METHODS:
        with FAKE, torch.no_grad():
            deployed = Deployed(model)
            found['deployed'] = tried(lambda: deployed(*deployed.example(2, SIZE)))
    counts = dict(train=told(counter))
    data = loaded(model, 'all')
    counter.restart()
    with (FAKE, counter if case in METHODS else nullcontext(), Copies(), torch.no_grad()):
        found['predict bf16'] = tried(lambda: predict(model, data))
    return found, counts | dict(predict=told(counter))


def predict(model: torch.nn.Module, data: dict) -> None:
    """Predict in bf16 and take the statistics that are taken on the device."""
    with torch.autocast('cuda', torch.bfloat16):
        samples = model.test_step(data)
    for sample in samples:
        for m in maps_of(sample):
            assert (m.device.type, m.dtype) == ('cuda', torch.float32), (m.device, m.dtype)
        for name, task in model.tasks.items():
            if not task.stats_on_cpu:
                task.stats(sample.pred.get(name)[None], sample.gt.get(name)[None])


def told(counter: Counter) -> dict[str, float]:
    """Its numbers."""
    return dict(launches=counter.launches, bytes=counter.bytes, macs=counter.macs)


def refused() -> dict[str, str]:
    """What must be seen: ways to make the host wait or to mix devices."""
    with FAKE:
        device, host = torch.ones(3, device='cuda'), torch.ones(3)
        ways = dict(
            item=lambda: device.sum().item(), condition=lambda: bool(device.any()),
            nonzero=lambda: device.nonzero(), mask=lambda: device[device > 0],
            mixed=lambda: device + host, to_host=lambda: device.cpu(),
            pageable=lambda: host.to('cuda', non_blocking=True),
            blocking=lambda: host.pin_memory().to('cuda'),
            literal=lambda: torch.tensor([1.0, 2.0], device='cuda'))
        found = {}
        for name, way in ways.items():
            with Copies():
                found[name] = tried(way)
    return found


def main() -> None:
    set_up()
    chosen = sys.argv[1:] or list(CASES)
    with redirect_stdout(sys.stderr):
        results = {case: steps(case) for case in chosen}
        found = dict(refused=refused(), steps={case: s for case, (s, _) in results.items()},
                     counts={case: results[case][1] for case in chosen if case in METHODS})
    print(json.dumps(found))


if __name__ == '__main__':
    main()
