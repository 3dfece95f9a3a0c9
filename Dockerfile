# Counts, images and fluids on a CPU: docker build -t scif . && docker run --rm -v "$PWD:/data" scif denoise in.h5ad out.h5ad
# For a GPU, give the build of torch: --build-arg TORCH="torch==2.13.0"
FROM python:3.13-slim

ARG TORCH="torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu"
ENV PIP_NO_CACHE_DIR=1 OMP_WAIT_POLICY=PASSIVE MPLBACKEND=Agg

RUN python -m pip install $TORCH
WORKDIR /opt/scif
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
RUN python -m pip install ".[fluids,images,plot]" && useradd --create-home scif
USER scif
WORKDIR /data
ENTRYPOINT [ "scif" ]
CMD [ "--help" ]
