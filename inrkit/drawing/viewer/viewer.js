"use strict";
// What is shown stands in PAGE (see __init__.py). Once `inr.ready`, `inr.render(width, height)` gives the pixels to whoever asks.
const by = id => document.getElementById(id), facts = PAGE.facts, shape = PAGE.shape;
const clamp = (x, low, high) => Math.min(high, Math.max(low, x)), radians = Math.PI / 180;

// ---------------------------------------------------------------------------- numbers
async function unpacked(text) {
  const bytes = Uint8Array.from(atob(text), c => c.charCodeAt(0)), packed = new Blob([bytes]).stream();
  return new Uint8Array(await new Response(packed.pipeThrough(new DecompressionStream("deflate"))).arrayBuffer());
}
function halfToFloat(h) {
  const sign = h & 0x8000 ? -1 : 1, exponent = h >> 10 & 31, rest = h & 1023;
  return sign * (exponent ? (1 + rest / 1024) * 2 ** (exponent - 15) : rest * 2 ** -24);
}
function numbersOf(signal) { // of a table first the lowest byte of each number, at the end the highest
  const found = new Float32Array(4 * PAGE.width * Math.ceil(PAGE.tables.reduce((n, t) => n + t.rows, 0) / PAGE.width));
  const word = new Uint32Array(1), exact = new Float32Array(word.buffer), at = [0, 0];
  let to = 0;
  for (const table of PAGE.tables) {
    const from = table.shared ? 0 : 1, data = from ? signal.data : PAGE.shared, size = table.exact ? 4 : 2, many = 4 * table.rows;
    for (let i = at[from]; i < at[from] + many; i++) {
      word[0] = 0;
      for (let b = size - 1; b >= 0; b--) word[0] = word[0] << 8 | data[i + b * many];
      found[to++] = table.exact ? exact[0] : halfToFloat(word[0]);
    }
    at[from] += size * many;
  }
  return found;
}

// ---------------------------------------------------------------------------- shaders
const GAIN = "void page_read(inout vec4 y[OUTPUTS]) { for (int o = 0; o < OUTPUTS; o++) y[o] *= page_gain; }\n";
const MAINS = {
  plane: `uniform vec4 page_seen; uniform vec2 page_cells; uniform float page_slice;
void main() {
  vec2 p = gl_FragCoord.xy / page_size, at = page_seen.xy + (vec2(1.0 - p.y, p.x) * 2.0 - 1.0) * page_seen.zw;
  if (any(greaterThan(abs(at), vec2(1)))) { page_pixel = vec4(0); return; }
  if (page_cells.x > 0.0) at = (floor((at + 1.0) / 2.0 * page_cells) + 0.5) / page_cells * 2.0 - 1.0;
  vec4 y[OUTPUTS];
  field(vec4(at, page_slice, 0), vec4(0), y);
  page_read(y);
  page_pixel = vec4(clamp(colour(y), 0.0, 1.0), 1);
}`,
  rays: `uniform vec3 page_eye; uniform mat3 page_axes; uniform float page_focal; uniform int page_samples; uniform bool page_depth;
uniform vec3 page_low, page_high; uniform vec4 page_limits; // near, far, reach, background
void main() {
  vec3 d = page_axes * normalize(vec3((gl_FragCoord.x - page_size.x / 2.0), page_size.y / 2.0 - gl_FragCoord.y, page_focal * page_size.x));
  vec3 safe = mix(d, vec3(1e-9), lessThan(abs(d), vec3(1e-9)));
  vec3 a = (page_low - page_eye) / safe, b = (page_high - page_eye) / safe, first = min(a, b), last = max(a, b);
  float enter = clamp(max(first.x, max(first.y, first.z)), page_limits.x, page_limits.y);
  float leave = clamp(min(last.x, min(last.y, last.z)), page_limits.x, page_limits.y);
  float left = 1.0, far = 0.0, step = max(leave - enter, 0.0) / float(page_samples);
  vec3 sum = vec3(0);
  for (int i = 0; i < page_samples && step > 0.0 && left > 0.001; i++) {
    float middle = enter + (float(i) + 0.5) * step;
    vec4 v = vec4(0), y[OUTPUTS];
    if (page_mip) {
      float c = middle, h = step / 2.0, c2 = c * c, h2 = h * h, whole = max(3.0 * c2 + h2, 1e-12);
      float spread = 0.5773503 / (page_focal * page_size.x);
      middle = c + 2.0 * c * h2 / whole;
      float along = h2 / 3.0 - 4.0 / 15.0 * h2 * h2 * (12.0 * c2 - h2) / (whole * whole);
      float across = spread * spread * (c2 / 4.0 + 5.0 / 12.0 * h2 - 4.0 / 15.0 * h2 * h2 / whole);
      v.xyz = (along * d * d + across * (1.0 - d * d)) / (page_limits.z * page_limits.z);
    }
    field(vec4((page_eye + middle * d) / page_limits.z, 0), v, y);
    float kept = exp(-density(y) * step), weight = left * (1.0 - kept);
    sum += weight * colour(y);
    far += weight * middle;
    left *= kept;
  }
  float off = length(page_eye - (page_low + page_high) / 2.0), reach_ = length(page_high - page_low) / 2.0, from = off - reach_, to = off + reach_;
  page_pixel = page_depth ? vec4(vec3((1.0 - left) * (1.0 - (far / max(1.0 - left, 1e-4) - from) / (to - from))), 1)
    : vec4(clamp(((sum + left * page_limits.w) * 2.0 - 1.0) * page_gain / 2.0 + 0.5, 0.0, 1.0), 1);
}`,
  line: `uniform vec2 page_span; uniform int page_count;
void main() {
  int i = int(gl_FragCoord.y) * int(page_size.x) + int(gl_FragCoord.x);
  vec4 y[OUTPUTS];
  field(vec4(mix(page_span.x, page_span.y, (float(i) + 0.5) / float(page_count)), 0, 0, 0), vec4(0), y);
  page_read(y);
  int whole = int(clamp((y[0].x + 2.0) / 4.0, 0.0, 1.0) * 16777215.0 + 0.5);
  page_pixel = vec4(whole & 255, whole >> 8 & 255, whole >> 16, 255) / 255.0;
}`};
function fragment() {
  return `#version 300 es
precision highp float; precision highp int; precision highp sampler2D;
uniform vec2 page_size; uniform float page_gain; out vec4 page_pixel;
const bool page_mip = ${facts.mip ? "true" : "false"};
${by("glsl").textContent}${GAIN}${PAGE.colours}
${MAINS[shape]}`;
}

let gl, program, target, places = {};
function start() {
  gl = document.createElement("canvas").getContext("webgl2", {antialias: false, premultipliedAlpha: false, powerPreference: "high-performance"});
  if (!gl) return "This page needs WebGL2, which this browser does not have or has switched off. A current Firefox, Chrome, Edge or Safari has it; graphics acceleration must be on.";
  if (!window.DecompressionStream) return "This page needs a newer browser: Firefox 113, Chrome 80, Edge 80 or Safari 16.4.";
  program = gl.createProgram();
  for (const [kind, text] of [[gl.VERTEX_SHADER, "#version 300 es\nvoid main() { gl_Position = vec4(gl_VertexID == 1 ? 3 : -1, gl_VertexID == 2 ? 3 : -1, 0, 1); }"], [gl.FRAGMENT_SHADER, fragment()]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, text);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS))
    return "The graphics driver refused the function: " + [...gl.getAttachedShaders(program)].map(s => gl.getShaderInfoLog(s)).join(" ") + gl.getProgramInfoLog(program);
  gl.useProgram(program);
  gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
  for (const name of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, name, gl.NEAREST);
  target = gl.createRenderbuffer();
  gl.bindFramebuffer(gl.FRAMEBUFFER, gl.createFramebuffer());
  gl.bindRenderbuffer(gl.RENDERBUFFER, target);
  return "";
}
function set(name, ...values) {
  const place = places[name] = places[name] || gl.getUniformLocation(program, "page_" + name);
  if (name === "axes") gl.uniformMatrix3fv(place, false, values[0]);
  else if (["samples", "depth", "count"].includes(name)) gl.uniform1i(place, values[0]);
  else gl[`uniform${values.length}f`](place, ...values);
}
let loaded = "";
const decoded = [];
function numbers(i) { return decoded[i] = decoded[i] || numbersOf(PAGE.signals[i]); }
function load(one, other, share) {
  const key = [one, share ? other : one, share].join();
  if (key === loaded) return;
  loaded = key;
  let mixed = numbers(one);
  if (share) { const end = numbers(other); mixed = mixed.map((x, i) => x + share * (end[i] - x)); }
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA32F, PAGE.width, mixed.length / 4 / PAGE.width, 0, gl.RGBA, gl.FLOAT, mixed);
}

// ---------------------------------------------------------------------------- what is seen
const [H, W] = shape === "line" ? [1, 2] : facts.size, seconds = facts.rate ? facts.size[0] / facts.rate : 0;
const first = () => ({signal: 0, other: Math.min(1, PAGE.signals.length - 1), share: 0, x: 0, y: 0, zoom: 1, cells: 0, slice: 0,
  azimuth: facts.azimuth, elevation: facts.elevation, samples: facts.samples, depth: false, speed: 1});
let state = first();
function prepare(width, height, s) {
  load(s.signal, s.other, s.share);
  set("size", width, height);
  set("gain", PAGE.gain);
  if (shape === "plane") {
    set("seen", s.y, s.x, 1 / s.zoom, 1 / s.zoom);
    set("cells", s.cells && Math.max(1, Math.round(s.cells * H / W)), s.cells);
    set("slice", s.slice);
  } else if (shape === "rays") {
    const a = s.azimuth * radians, e = s.elevation * radians, far = facts.radius / s.zoom;
    const back = [Math.cos(e) * Math.cos(a), Math.cos(e) * Math.sin(a), Math.sin(e)];
    const right = [-Math.sin(a), Math.cos(a), 0], forward = back.map(x => -x);
    const down = [forward[1] * right[2] - forward[2] * right[1], forward[2] * right[0] - forward[0] * right[2], forward[0] * right[1] - forward[1] * right[0]];
    set("eye", ...back.map((x, i) => facts.target[i] + x * far));
    set("axes", [...right, ...down, ...forward]);
    set("focal", facts.focal);
    set("samples", s.samples);
    set("depth", s.depth ? 1 : 0);
    set("low", ...facts.low);
    set("high", ...facts.high);
    set("limits", facts.near, facts.far, facts.reach, facts.background);
  }
}
function storage(width, height) { gl.renderbufferStorage(gl.RENDERBUFFER, gl.RGBA8, width, height);
  gl.framebufferRenderbuffer(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.RENDERBUFFER, target);
  gl.viewport(0, 0, width, height); }
function rows(width, from, to) {
  gl.enable(gl.SCISSOR_TEST);
  gl.scissor(0, from, width, to - from);
  gl.drawArrays(gl.TRIANGLES, 0, 3);
  const found = new Uint8Array(4 * width * (to - from));
  gl.readPixels(0, from, width, to - from, gl.RGBA, gl.UNSIGNED_BYTE, found);
  return found;
}
function* drawing(width, height, s, step) {
  // Pixels from above, some rows at a time: a slow card stays responsive.
  const image = new ImageData(width, height);
  for (let done = 0; done < height;) {
    prepare(width, height, s);
    storage(width, height);
    const some = Math.min(height - done, step()), found = rows(width, height - done - some, height - done);
    for (let r = 0; r < some; r++) image.data.set(found.subarray(4 * width * (some - 1 - r), 4 * width * (some - r)), 4 * width * (done + r));
    done += some;
    yield image;
  }
}
function render(width, height, changes = {}) {
  let image;
  for (image of drawing(width, height, {...state, ...changes}, () => height));
  return image;
}
function samples(count, from = -1, to = 1, s = state) {
  const width = Math.min(count, 1024), height = Math.ceil(count / width), found = new Float32Array(count);
  prepare(width, height, s);
  set("span", from, to);
  set("count", count);
  storage(width, height);
  const bytes = rows(width, 0, height);
  for (let i = 0; i < count; i++) found[i] = (bytes[4 * i] + 256 * bytes[4 * i + 1] + 65536 * bytes[4 * i + 2]) / 16777215 * 4 - 2;
  return found;
}

// ---------------------------------------------------------------------------- the screen
const screen = by("screen"), paint = screen.getContext("2d");
let job = {}, moved = true, rate = 1e4, frames = 0, later = 0; // rate: pixels, or places of a line, per second
function shown() { return Math.round(clamp(screen.clientWidth * (window.devicePixelRatio || 1), 64, 1024)); }
function change(what) { Object.assign(state, what); moved = true; ask(); label(); }
let asked = false;
function ask() { if (!asked) { asked = true; requestAnimationFrame(frame); } }
function frame() {
  asked = false;
  if (shape === "line") return curve(false);
  const began = performance.now(), width = shown();
  if (moved && !job.first) { // the first picture after a movement is shown, even if another movement overtakes it
    let scale = 1;
    while (scale < 16 && width * width * H / W / scale / scale > 0.06 * rate) scale *= 2;
    job = {scale, first: true, seen: {...state}};
    moved = false;
  }
  if (!job.parts) {
    const w = Math.max(8, Math.round(width / job.scale)), h = Math.max(8, Math.round(w * H / W));
    const samples = job.scale > 1 ? Math.ceil(job.seen.samples / 2) : job.seen.samples;
    job.parts = drawing(w, h, {...job.seen, samples}, () => job.first ? h : Math.max(1, Math.floor(0.03 * rate / w)));
    job.spent = 0;
  }
  let part = {}, image;
  while (performance.now() - began < 30 && !(part = job.parts.next()).done) image = job.image = part.value;
  job.spent += performance.now() - began;
  if (part.done) {
    image = job.image;
    rate = clamp(image.width * image.height / Math.max(job.spent, 1) * 1000, 2e3, 1e9);
    frames = job.spent;
    screen.width = image.width;
    screen.height = image.height;
    paint.putImageData(image, 0, 0);
    screen.dataset.done = job.scale;
    job = job.scale > 1 ? {scale: job.scale / 2, seen: job.seen} : {finished: true};
    label();
  }
  if (moved || !job.finished) ask();
}
function curve(whole) {
  const width = shown(), began = performance.now(), each = whole ? 8 : clamp(Math.floor(0.06 * rate / width), 1, 8);
  clearTimeout(later);
  plot(screen, width, Math.round(width / 2), state, each);
  rate = width * each / Math.max(performance.now() - began, 1) * 1000;
  if (each < 8) later = setTimeout(curve, 200, true);
  screen.dataset.done = 1;
  label();
}
function plot(canvas, width, height, s, each) { // so many places to a pixel
  const paint = canvas.getContext("2d"), style = getComputedStyle(document.body), seen = part(s);
  const values = samples(width * each, ...seen, s), most = values.reduce((m, v) => Math.max(m, Math.abs(v)), 1);
  canvas.width = width; canvas.height = height;
  paint.strokeStyle = style.getPropertyValue("--line");
  paint.strokeRect(-1, height / 2, width + 2, 0);
  paint.strokeStyle = style.getPropertyValue("--accent");
  paint.lineWidth = 1.5;
  paint.beginPath();
  values.forEach((v, i) => paint.lineTo((i + 0.5) / each, height / 2 * (1 - 0.95 * v / most)));
  paint.stroke();
}
function part(s) { return [s.x - 1 / s.zoom, s.x + 1 / s.zoom]; } // of a line, what is seen

// ---------------------------------------------------------------------------- controls
const labels = [];
function label() { for (const one of labels) one(); }
function slider(name, low, high, step, get, put, text) {
  const line = by("controls").appendChild(document.createElement("label")), input = document.createElement("input"), said = document.createElement("output");
  line.textContent = name;
  line.htmlFor = input.id = "s-" + name.replace(/ /g, "-");
  Object.assign(input, {type: "range", min: low, max: high, step});
  input.oninput = () => change(put(+input.value));
  by("controls").append(input, said);
  labels.push(() => { input.value = get(); said.textContent = text(); });
}
function button(name, act, pressed) {
  const made = by("buttons").appendChild(document.createElement("button"));
  made.textContent = name;
  made.onclick = act;
  if (pressed) labels.push(() => made.setAttribute("aria-pressed", pressed()));
  return made;
}
let playing = null;
function play() {
  if (playing) { playing.stop(); return; }
  const context = play.context = play.context || new AudioContext();
  const count = clamp(Math.round(context.sampleRate * seconds / state.speed), 1, 1 << 22);
  const buffer = context.createBuffer(1, count, context.sampleRate);
  buffer.copyToChannel(samples(count), 0);
  playing = new AudioBufferSourceNode(context, {buffer});
  playing.connect(context.destination);
  playing.onended = () => { playing = null; label(); };
  playing.start();
  label();
}
function controls() {
  if (shape === "line") screen.style.width = "100%";
  if (shape === "plane") {
    const most = 24;
    slider("Resolution", 0, most, 1, () => state.cells ? Math.round(4 * Math.log2(state.cells / 8)) : most,
      v => ({cells: v === most ? 0 : Math.round(8 * 2 ** (v / 4))}), () => state.cells ? `${state.cells} x ${Math.max(1, Math.round(state.cells * H / W))}` : "continuous");
    if (facts.size.length === 3) slider("Depth", -1, 1, 0.01, () => state.slice, v => ({slice: v}), () => state.slice.toFixed(2));
  }
  if (shape === "rays") {
    slider("Samples per ray", 8, 256, 8, () => state.samples, v => ({samples: v}), () => state.samples);
    button("Depth", () => change({depth: !state.depth}), () => state.depth);
  }
  if (seconds) {
    slider("Speed", -3, 3, 0.1, () => Math.log2(state.speed), v => ({speed: 2 ** v}), () => `${state.speed.toFixed(2)} x`);
    button("Play", play, () => playing !== null);
  }
  slider("Zoom", shape === "rays" ? -2 : 0, shape === "rays" ? 4 : 16, 0.01, () => Math.log2(state.zoom), v => ({zoom: 2 ** v}), () => `${state.zoom < 100 ? state.zoom.toFixed(1) : Math.round(state.zoom)} x`);
  button("Reset", () => change({...first(), signal: state.signal, other: state.other}));
  by("buttons").appendChild(by("status"));
  if (seconds) labels.push(() => by("status").textContent = part(state).map(x => +(500 * (x + 1) * seconds).toPrecision(4)).join(" to ") + " ms");
  else labels.push(() => by("status").textContent = frames ? `${screen.width} x ${screen.height} in ${frames < 1000 ? Math.round(frames) + " ms" : (frames / 1000).toFixed(1) + " s"}` : "");
}
function move(dx, dy) { // in widths of the screen
  if (shape === "rays") return change({azimuth: state.azimuth - 180 * dx, elevation: clamp(state.elevation + 180 * dy, -89, 89)});
  change({x: clamp(state.x - 2 * dx / state.zoom, -1, 1), y: clamp(state.y - 2 * dy * W / H / state.zoom, -1, 1)});
}
function zoom(factor, px = 0, py = 0) { // the place under the pointer, from -1 to 1, stays where it is
  const rays = shape === "rays", next = clamp(state.zoom * factor, rays ? 0.25 : 1, rays ? 16 : 65536), held = rays ? 0 : 1 / state.zoom - 1 / next;
  change({zoom: next, x: clamp(state.x + px * held, -1, 1), y: clamp(state.y + py * held, -1, 1)});
}
function pointers() {
  const down = new Map();
  const place = e => { const box = screen.getBoundingClientRect(); return [(e.clientX - box.left) / box.width * 2 - 1, (e.clientY - box.top) / box.height * 2 - 1]; };
  screen.onpointerdown = e => { screen.setPointerCapture(e.pointerId); down.set(e.pointerId, e); };
  screen.onpointerup = screen.onpointercancel = e => down.delete(e.pointerId);
  screen.onpointermove = e => {
    const before = down.get(e.pointerId);
    if (!before) return;
    const wide = screen.clientWidth, others = [...down.values()].filter(o => o.pointerId !== e.pointerId);
    if (others.length) {
      const far = p => Math.hypot(p.clientX - others[0].clientX, p.clientY - others[0].clientY);
      zoom(far(e) / Math.max(far(before), 1), ...place(others[0]));
    } else move((e.clientX - before.clientX) / wide, (e.clientY - before.clientY) / wide);
    down.set(e.pointerId, e);
  };
  screen.addEventListener("wheel", e => { e.preventDefault(); zoom(2 ** (-e.deltaY / 300), ...place(e)); }, {passive: false});
  screen.ondblclick = e => zoom(2, ...place(e));
  screen.onkeydown = e => {
    const way = {ArrowLeft: [0.05, 0], ArrowRight: [-0.05, 0], ArrowUp: [0, 0.05], ArrowDown: [0, -0.05]}[e.key];
    if (way) { e.preventDefault(); move(...way); }
    if (e.key === "+" || e.key === "=") zoom(1.25);
    if (e.key === "-") zoom(0.8);
  };
}
function gallery() {
  if (PAGE.signals.length < 2) return;
  slider("Between", 0, 1, 0.01, () => state.share, v => ({share: v}), () => "to " + PAGE.signals[state.other].name);
  by("choice").textContent = "Choose two, one after the other: the slider \u201cBetween\u201d leads from the second to the first."
    + (PAGE.signals.some(signal => signal.picture) ? " Lower pictures are the originals." : "");
  PAGE.signals.forEach((signal, i) => {
    const made = by("signals").appendChild(document.createElement("button")), small = document.createElement("canvas");
    made.append(small);
    if (signal.picture) Object.assign(made.appendChild(new Image()), {src: signal.picture, alt: "original of " + signal.name});
    made.append(signal.name);
    made.onclick = () => change(state.signal === i ? {share: 0} : {signal: i, other: state.signal, share: 0});
    labels.push(() => made.setAttribute("aria-pressed", state.signal === i));
    setTimeout(() => {
      if (shape === "line") return plot(small, 160, 80, {...first(), signal: i}, 1);
      const image = render(48, Math.max(1, Math.round(48 * H / W)), {...first(), signal: i});
      Object.assign(small, {width: image.width, height: image.height});
      small.getContext("2d").putImageData(image, 0, 0);
    }, 50 * i);
  });
}
async function begin() {
  const problem = start();
  if (problem) {
    by("problem").hidden = false;
    by("problem").textContent = problem;
    by("viewer").hidden = true;
    return;
  }
  PAGE.shared = await unpacked(PAGE.shared);
  for (const signal of PAGE.signals) signal.data = await unpacked(signal.data);
  gl.canvas.addEventListener("webglcontextlost", () => { by("status").textContent = "The graphics card gave up; reload the page, with fewer samples."; });
  by("hint").textContent = `Drag to ${shape === "rays" ? "turn" : "move"}; scroll, pinch or press + and - to zoom.`;
  controls();
  gallery();
  pointers();
  label();
  addEventListener("resize", () => change({}));
  ask();
}
window.inr = {render, samples, change, ready: begin(), get state() { return state; }};
