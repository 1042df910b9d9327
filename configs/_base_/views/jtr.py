# Three views: the sample and two zoomed cuts of it, each in colours of its own.
views = [dict(type='MultiView', views=[
    [dict(type='RandAugment')],
    [dict(type='RandomScaleCrop'), dict(type='RandAugment')],
    [dict(type='RandomScaleCrop'), dict(type='RandAugment')]])]
