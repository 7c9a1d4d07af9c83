"""Fit the diffusion tensor (rule dwi_tensor)."""

from glymph.common.gradients import read_fsl
from glymph.common.images import array, load, save
from glymph.common.job import run
from glymph.common.provenance import stamp
from glymph.common.sidecars import write_json
from glymph.common.tensors import COMPONENTS
from glymph.dwi import dtifit
from glymph.dwi.tensor import fit, snr

AXES = "world (scanner) RAS: +x right, +y anterior, +z superior; not image axes"
MEANING = {
    "fa": {"Description": "fractional anisotropy", "Units": "1"},
    "md": {"Description": "mean diffusivity", "Units": "mm2/s"},
    "ad": {"Description": "axial diffusivity, largest eigenvalue", "Units": "mm2/s"},
    "rd": {"Description": "radial diffusivity, mean of the smaller eigenvalues", "Units": "mm2/s"},
    "v1": {"Description": "principal eigenvector", "Units": "1", "Axes": AXES},
    "tensor": {
        "Description": "diffusion tensor",
        "Units": "mm2/s",
        "Components": list(COMPONENTS),
        "Axes": AXES,
    },
}


def main(snakemake):
    source, params, out = snakemake.input, snakemake.params, snakemake.output
    image = load(source.dwi)
    table = read_fsl(source.bval, source.bvec, image.affine, image.shape[3])
    data, mask = array(image), array(load(source.mask)) > 0
    if params.engine == "dtifit":
        maps = dtifit.fit(data, image.affine, table, mask)
    else:
        maps = fit(data, table, mask)
    parameters = {"engine": params.engine, "fit": "WLS", "bvals": sorted(set(table.bvals))}
    provenance = stamp([source.dwi], parameters, params.fsl)
    for name, meaning in MEANING.items():
        save(maps[name], image.affine, out[name], meaning | provenance)
    b0 = data[..., table.is_b0].mean(axis=-1)
    write_json({"metrics": {"dwi_snr": snr(b0, maps["residual"], mask)}} | provenance, out.facts)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
