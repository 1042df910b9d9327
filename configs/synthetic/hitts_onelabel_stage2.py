_base_ = ['./hitts_onelabel.py', '../_base_/pseudo/pascal.py']
model = dict(type='DistilledHiTTs', teacher='work_dirs/synthetic/hitts_onelabel',
             pseudo=_base_.pseudo)
