# Two views: the sample, whose predictions teach, and a zoomed cut of it in other colours.
views = [dict(type='MultiView', views=[
    [], [dict(type='RandomScaleCrop'), dict(type='PhotoMetricDistortion')]])]
