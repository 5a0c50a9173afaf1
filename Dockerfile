# inrkit on processors alone:
#   docker build -t inrkit .
#   docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/work" inrkit sample faces -n 16 --out new
FROM python:3.12-slim

# PyTorch's build without CUDA is a tenth as large.
COPY constraints.txt /src/
RUN pip install --no-cache-dir --constraint /src/constraints.txt torch --index-url https://download.pytorch.org/whl/cpu

COPY . /src
RUN pip install --no-cache-dir --constraint /src/constraints.txt /src && rm -rf /src

WORKDIR /work
ENTRYPOINT ["inrkit"]
CMD ["--help"]
