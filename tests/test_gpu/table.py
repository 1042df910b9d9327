"""What is run on fake CUDA: case -> config and options. Without imports, which take seconds."""

# Each method with both types and several kinds of batches, and a budget where it has one.
METHODS = ('prediction', 'feature', 'mtl', 'ss', 'xtc', 'jtr')
OTHERS = ('hitts',)
PASCAL = 'pascal_onelabel_r18'
FINE = {'model.regularizer.map_stride': 1}  # auxiliary networks need 32x32
CASES: dict[str, tuple[str, dict]] = {
    'prediction': (f'diffusionmtl/{PASCAL}', {}),
    'feature': (f'diffusionmtl/{PASCAL}_feature', {}),
    'mtl': (f'mtl_baseline/{PASCAL}', {}),
    'ss': (f'ss/{PASCAL}', {}),
    'xtc': (f'xtc/{PASCAL}', FINE),
    'jtr': (f'jtr/{PASCAL}', FINE),
    'without condition': (f'diffusionmtl/{PASCAL}_wo-cond', {}),
    'without diffusion': (f'diffusionmtl/{PASCAL}_wo-diffusion', {}),
    'residual prediction': (f'diffusionmtl/{PASCAL}', {'model.diffusion.residual': True}),
    'residual feature': (f'diffusionmtl/{PASCAL}_feature', {'model.diffusion.residual': True}),
    'condition not detached': (f'diffusionmtl/{PASCAL}',
                               {'model.diffusion.condition.detach': False}),
    'noise from the CPU': (f'diffusionmtl/{PASCAL}', {'model.test_noise_on_cpu': True}),
    'checkpointing': (f'diffusionmtl/{PASCAL}_feature',
                      {'model.diffusion.with_cp': True, 'model.decoder.with_cp': True}),
    'no shortcuts': (f'diffusionmtl/{PASCAL}',
                     {'model.diffusion.shortcut': False, 'model.neck.shortcut': False}),
    'hitts': (f'hitts/{PASCAL}', {}),
    'nyud': ('diffusionmtl/nyud_onelabel_r18', {}),
    'cityscapes': ('diffusionmtl/cityscapes_onelabel_r18_feature', {}),
}
