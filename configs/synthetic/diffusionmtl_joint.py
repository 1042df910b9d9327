_base_ = ['../_base_/datasets/synthetic_joint.py', '../_base_/models/diffusionmtl_small.py',
          '../_base_/schedules/adam_demo.py', '../_base_/demo_runtime.py']
