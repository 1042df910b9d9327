_base_ = ['./hitts_random.py', '../_base_/pseudo/pascal.py']
model = dict(type='DistilledHiTTs', teacher='work_dirs/synthetic/hitts_random',
             pseudo=_base_.pseudo)
