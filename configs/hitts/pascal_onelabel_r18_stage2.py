# A new student, from ImageNet's weights, and the model of stage 1 as its teacher.
_base_ = ['./pascal_onelabel_r18.py', '../_base_/pseudo/pascal.py']
model = dict(type='DistilledHiTTs', teacher='work_dirs/hitts/pascal_onelabel_r18',
             pseudo=_base_.pseudo)
