# A new student, from ImageNet's weights, and the model of stage 1 as its teacher.
_base_ = './nyud_random_r18.py'
model = dict(
    type='DistilledHiTTs', teacher='work_dirs/hitts/nyud_random_r18',
    pseudo=dict(
        semseg=dict(type='PseudoLabel', threshold=0.9),
        depth=dict(type='PseudoValue', threshold=0.95),
        normal=dict(type='PseudoValue', threshold=0.85)))
