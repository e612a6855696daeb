"""Photos with boxes, as annotation tools write them: COCO, YOLO, Pascal VOC, labelme and CSV become one table."""
