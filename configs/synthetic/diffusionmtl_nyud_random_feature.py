_base_ = ['../_base_/datasets/synthetic_nyud_random.py',
          '../_base_/models/diffusionmtl_small_feature.py',
          '../_base_/schedules/adam_demo.py', '../_base_/demo_runtime.py']
