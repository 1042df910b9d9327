_base_ = ['../_base_/datasets/joint_pascal_nyud.py', '../_base_/models/diffusionmtl_r18.py',
          '../_base_/schedules/adam_100e.py', '../_base_/default_runtime.py']
