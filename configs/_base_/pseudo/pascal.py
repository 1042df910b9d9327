# Where a teacher of HiTTs teaches PASCAL's tasks: the published thresholds. That of boundary, 0.99
# of |2 p - 1|, is a probability of 0.995; the published code keeps the pixels below it.
pseudo = dict(
    semseg=dict(type='PseudoLabel', threshold=0.9),
    parsing=dict(type='PseudoLabel', threshold=0.85),
    saliency=dict(type='PseudoLabel', threshold=0.7),
    normal=dict(type='PseudoValue', threshold=0.7),
    boundary=dict(type='PseudoLabel', threshold=0.995, over='kept', weight=0.05))
