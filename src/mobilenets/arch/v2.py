"""MobileNetV2 (1801.04381, Table 2), at width 1: t expansion factor, c channels, n repeats, s first stride."""

STEM_CHANNELS = 32

#    t    c  n  s
STAGES = (
    (1,  16, 1, 1),
    (6,  24, 2, 2),  # C2, stride 4
    (6,  32, 3, 2),  # C3, stride 8
    (6,  64, 4, 2),
    (6,  96, 3, 1),  # C4, stride 16
    (6, 160, 3, 2),
    (6, 320, 1, 1),  # C5, stride 32
)  # fmt: skip

LAST_CHANNELS = 1280
