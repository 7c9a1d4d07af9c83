// The images: NiiVue with one base, an overlay of the regions, and a mask as its drawing.
// Voxels are numbered as in NiiVue's drawing: x to the right fastest, then y, then z.
const { Niivue, NVImage, cmapper } = globalThis.niivue;

// Values of the drawing: in the mask 1, or by region 1 + its label; then what is shown beside it.
const LAST_OF_MASK = 9;
export const DELETED = 10, NOT_COUNTED = 11, ALPS_FROM = 12;
const REGIONS = ["#000000", "#ff9f0a", "#ffd60a", "#0a84ff", "#64d2ff", "#bf5af2", "#ff6ac1", "#30d158", "#a4e86b"];
export const COLOURS = { mask: "#ff3b30", notCounted: "#f5e663", deleted: "#00d9b8" };
export const ALPS = ["#ffffff", "#ffe14d", "#c8c8c8", "#ffb300"];
export const colourOfRegion = label => REGIONS[label];

const channel = (colours, from) => colours.map(c => parseInt(c.slice(from, from + 2), 16));
const lut = (colours, alpha = 255) => ({
  R: channel(colours, 1), G: channel(colours, 3), B: channel(colours, 5),
  A: colours.map((_, k) => (k ? alpha : 0)), I: colours.map((_, k) => k), labels: colours.map((_, k) => (k ? String(k) : "")),
});

export class Canvas {
  constructor(element, onMoved, onDrawn) {
    this.nv = new Niivue({
      backColor: [0, 0, 0, 1], crosshairColor: [0.3, 0.8, 1, 0.9], crosshairWidth: 0.4, crosshairWidthUnit: "mm", crosshairGap: 5, renderOverlayBlend: 1, show3Dcrosshair: true,
      multiplanarShowRender: 0, isColorbar: false, isRadiologicalConvention: false, dragAndDropEnabled: false,
      isOrientationTextVisible: true, isNearestInterpolation: false, drawingEnabled: false, logLevel: "silent",
      multiplanarPadPixels: 4, fontMinPx: 15, fontSizeScaling: 0.5, isResizeCanvas: true,
    });
    this.nv.drawLut = cmapper.makeDrawLut(lut(["#000000", COLOURS.mask, ...REGIONS.slice(1), COLOURS.deleted, COLOURS.notCounted, ...ALPS]));
    this.nv.onLocationChange = onMoved;
    this.onDrawn = onDrawn;
    this.element = element;
    this.cache = new Map();
    this.mask = null;
    // A stroke ends where the button is let go, also outside of the canvas.
    for (const name of ["pointerup", "mouseup", "touchend"])
      addEventListener(name, () => setTimeout(() => this.strokeEnded(), 0));
  }

  // Without a graphics processor a 3D view takes seconds to turn: then planes come first.
  async attach() {
    await this.nv.attachToCanvas(this.element);
    const { gl } = this.nv, about = gl.getExtension("WEBGL_debug_renderer_info");
    this.slow = /swiftshader|llvmpipe|software/i.test(gl.getParameter(about ? about.UNMASKED_RENDERER_WEBGL : gl.RENDERER));
  }

  // An image of the server, read once: {bytes} of the .nii.gz.
  async fetch(unit, name) {
    const key = `${unit} ${name}`;
    if (!this.cache.has(key)) {
      const answer = await fetch(`/viewer/image?unit=${unit}&name=${name}`, { cache: "no-store" });
      if (!answer.ok) throw new Error(await answer.text());
      this.cache.set(key, await answer.arrayBuffer());
    }
    return this.cache.get(key);
  }
  forget(unit, name) { this.cache.delete(`${unit} ${name}`) }

  async image(unit, name, options = {}) {
    const buffer = await this.fetch(unit, name);
    return NVImage.loadFromUrl({ url: buffer.slice(0), name: `${name}.nii.gz`, ...options });
  }

  // Show these images: [{name, ...options of NiiVue}], the first one the base.
  async show(unit, wanted) {
    const images = [];
    for (const { name, ...options } of wanted) images.push(await this.image(unit, name, options));
    this.lines(false);
    this.nv.closeDrawing();
    this.mask = null;
    for (const old of [...this.nv.volumes]) this.nv.removeVolume(old);
    for (const image of images) this.nv.addVolume(image);
    this.nv.updateGLVolume();
    return images;
  }

  // FA with a line along the fibres in every voxel.
  async showDirections(unit) {
    const [, fibres] = await this.show(unit, [{ name: "fa", cal_min: 0, cal_max: 1.2 }, { name: "directions" }]);
    fibres.loadImgV1();
    this.lines(true);
    this.nv.updateGLVolume();
  }
  lines(on) {
    this.nv.opts.isV1SliceShader = on;
    this.nv.opts.isNearestInterpolation = on;
    this.nv.opts.isForceMouseClickToVoxelCenters = on; // lines show in planes through voxels' middles
  }

  // Another image of the same grid in the place of the base; everything else stays.
  async swapBase(unit, name, options) {
    const image = await this.image(unit, name, options), base = this.nv.volumes[0];
    Object.assign(base, { img: image.img, hdr: image.hdr, cal_min: image.cal_min, cal_max: image.cal_max,
                          global_min: image.global_min, global_max: image.global_max,
                          robust_min: image.robust_min, robust_max: image.robust_max });
    this.nv.updateGLVolume();
  }

  // ---- overlays made here ------------------------------------------------------------------
  addOverlay(colours, alpha = 255) {
    const overlay = this.nv.volumes[0].clone();
    overlay.zeroImage();
    Object.assign(overlay, { img: new Uint8Array(this.count), name: "overlay.nii.gz", opacity: 1 });
    Object.assign(overlay.hdr, { datatypeCode: 2, numBitsPerVoxel: 8, scl_slope: 1, scl_inter: 0, cal_min: 0, cal_max: 0, intent_code: 1002 });
    overlay.setColormapLabel(lut(["#000000", ...colours], alpha));
    this.nv.addVolume(overlay);
    return overlay;
  }
  // `values` in the order of the drawing become the overlay's, which are in the file's order.
  fill(overlay, values) {
    const order = this.fileOrder();
    for (let k = 0; k < values.length; k++) overlay.img[order ? order[k] : k] = values[k];
    this.nv.updateGLVolume();
  }
  fileOrder() {
    const perm = this.nv.volumes[0].permRAS;
    if (perm[0] === 1 && perm[1] === 2 && perm[2] === 3) return null;
    if (this.order?.of === this.nv.volumes[0]) return this.order.list;
    const probe = this.nv.volumes[0].clone();
    probe.hdr = { ...probe.hdr, datatypeCode: 768 };
    probe.img = Uint32Array.from({ length: this.count }, (_, k) => k);
    this.order = { of: this.nv.volumes[0], list: probe.img2RAS() };
    return this.order.list;
  }
  inOrder(image) { return image.img2RAS() }

  // ---- the mask ----------------------------------------------------------------------------
  get dims() { return this.nv.volumes[0].dimsRAS.slice(1, 4) }
  get count() { return this.dims.reduce((a, b) => a * b, 1) }
  // `beside(bitmap)` may set other voxels to DELETED or NOT_COUNTED.
  setMask(mask, labels = null, beside = () => {}) {
    this.nv.createEmptyDrawing();
    Object.assign(this, { mask, labels, beside, byRegion: false });
    this.paint();
  }
  // The drawing shows the mask, by region where asked.
  paint() {
    const bitmap = this.nv.drawBitmap, byRegion = this.byRegion && this.labels;
    for (let k = 0; k < bitmap.length; k++) bitmap[k] = this.mask[k] ? 1 + (byRegion ? this.labels[k] : 0) : 0;
    this.beside(bitmap);
    this.nv.refreshDrawing(true);
  }
  // Of the drawing's inside and of its edge; what lies below an outline can be seen.
  seeThrough(inside, edge = inside) {
    this.seen = [inside, edge];
    this.nv.drawRimOpacity = edge;
    this.nv.setDrawOpacity(this.shownAs === "3D" && edge ? 1 : inside);
  }
  strokeEnded() {
    if (!this.mask || !this.nv.opts.drawingEnabled) return;
    const bitmap = this.nv.drawBitmap, changed = [];
    for (let k = 0; k < bitmap.length; k++)
      if ((bitmap[k] > 0 && bitmap[k] <= LAST_OF_MASK) !== this.mask[k] > 0) changed.push(k);
    if (!changed.length) return;
    for (const k of changed) this.mask[k] = 1 - this.mask[k];
    this.onDrawn(changed);
  }
  // draw, erase, or null for no pen
  pen(kind, size = 1) {
    this.nv.opts.penSize = size;
    this.nv.setPenValue(kind === "erase" ? 0 : 1, false);
    this.nv.setDrawingEnabled(Boolean(kind));
  }
  // A mask on the grid of `volume` as a NIfTI file, compressed, in base64.
  async exported(volume, mask) {
    const file = await volume.saveToDisk("", Uint8Array.from(mask, v => (v ? 1 : 0)));
    const packed = new Blob([file]).stream().pipeThrough(new CompressionStream("gzip"));
    const bytes = new Uint8Array(await new Response(packed).arrayBuffer());
    let text = "";
    for (let k = 0; k < bytes.length; k += 32768) text += String.fromCharCode(...bytes.subarray(k, k + 32768));
    return btoa(text);
  }

  // ---- places ------------------------------------------------------------------------------
  goTo(mm) {
    const place = this.nv.mm2frac(mm, 0, true), middle = (v, n) => (Math.min(Math.floor(v * n), n - 1) + 0.5) / n;
    this.nv.scene.crosshairPos = this.nv.opts.isV1SliceShader ? this.dims.map((n, k) => middle(place[k], n)) : place;
    this.nv.createOnLocationChange();
    this.zoom(this.factor || 1);
  }
  // The planes so many times larger, the crosshair in their middle; 1 shows them whole.
  zoom(factor) {
    const middle = this.nv.frac2mm([0.5, 0.5, 0.5]), here = this.nv.frac2mm(this.nv.scene.crosshairPos);
    this.factor = factor;
    this.nv.opts.crosshairWidth = 0.8 / factor;
    this.nv.crosshairs3D = null;
    const pan = factor === 1 ? [0, 0, 0] : [0, 1, 2].map(k => middle[k] - factor * here[k]);
    this.nv.setPan2Dxyzmm([...pan, factor]);
  }
  get place() { return [...this.nv.frac2mm(this.nv.scene.crosshairPos, 0, true)].slice(0, 3) }
  voxelToWorld(k) {
    const [nx, ny] = this.dims, x = k % nx, y = Math.floor(k / nx) % ny, z = Math.floor(k / nx / ny);
    return [...this.nv.volumes[0].convertFrac2MM([(x + 0.5) / nx, (y + 0.5) / ny, (z + 0.5) / this.dims[2]], true)].slice(0, 3);
  }
  view(kind) {
    this.shownAs = kind;
    this.nv.opts.multiplanarShowRender = kind === "planes and 3D" ? 1 : 0;
    const types = { axial: 0, coronal: 1, sagittal: 2, planes: 3, "planes and 3D": 3, "3D": 4 };
    // In 3D the brain is a veil about what was drawn.
    this.nv.setSliceType(types[kind]);
    if (this.nv.volumes.length) this.nv.setOpacity(0, kind === "3D" ? 0.2 : 1);
    if (this.seen) this.seeThrough(...this.seen);
  }
  opacity(image, value) { this.nv.setOpacity(this.nv.volumes.indexOf(image), value) }
}
