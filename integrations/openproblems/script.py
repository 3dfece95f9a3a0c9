"""The component: training molecules in, expected counts at the same depth out."""

import anndata as ad

from scif.model import ICM

## VIASH START
par = {
    "input_train": "train.h5ad",
    "output": "denoised.h5ad",
    "estimator": "mean",
    "noise": "poisson",
    "max_epochs": None,
}
meta = {"name": "scif"}
## VIASH END

train = ad.read_h5ad(par["input_train"])
counts = ad.AnnData(train.layers["counts"], obs=train.obs[[]], var=train.var[[]])
ICM.setup_anndata(counts)
model = ICM(counts, noise=par["noise"], seed=0)
model.train(max_epochs=par["max_epochs"], enable_progress_bar=False)

denoised = ad.AnnData(
    layers={"denoised": model.get_denoised(estimator=par["estimator"], silent=True)},
    obs=train.obs[[]],
    var=train.var[[]],
    uns={"dataset_id": train.uns["dataset_id"], "method_id": meta["name"]},
)
denoised.write_h5ad(par["output"], compression="gzip")
