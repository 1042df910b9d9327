# Two views: the sample, for the task losses, and a zoomed cut of it, for the consistency.
views = [dict(type='MultiView', views=[[], [dict(type='RandomScaleCrop')]])]
