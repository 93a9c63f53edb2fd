// Every text that can be seen, with its colour, what is behind it, and its size in CSS pixels: [{text, colour, behind, size}].
() => {
  const parts = colour => {
    const [r, g, b, a = 1] = colour.match(/[\d.]+/g).map(Number);
    return { r, g, b, a };
  };
  const over = (top, below) => {
    const mix = name => top[name] * top.a + below[name] * (1 - top.a);
    return { r: mix("r"), g: mix("g"), b: mix("b"), a: 1 };
  };
  const named = c => `rgb(${Math.round(c.r)}, ${Math.round(c.g)}, ${Math.round(c.b)})`;
  const behind = element => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) {
      const layer = parts(getComputedStyle(at).backgroundColor);
      layers.push(layer);
      if (layer.a === 1) break;
    }
    return layers.reverse().reduce((below, top) => over(top, below), { r: 255, g: 255, b: 255, a: 1 });
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement, text = walker.currentNode.data.trim();
    if (!text || !element.checkVisibility() || !element.getBoundingClientRect().width) continue;
    const style = getComputedStyle(element), below = behind(element);
    const colour = parts(element instanceof SVGElement ? style.fill : style.color);
    // A drawing's own unit may be larger or smaller than a pixel.
    const scale = element.ownerSVGElement ? element.ownerSVGElement.getScreenCTM().a : 1;
    found.push({ text, colour: named(over(colour, below)), behind: named(below), size: Math.round(parseFloat(style.fontSize) * scale * 10) / 10 });
  }
  return found;
}
