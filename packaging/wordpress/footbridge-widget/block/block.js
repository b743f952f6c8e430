// @ts-check
/**
 * The block in the editor: a field for each attribute, where it is to differ from the site's
 * settings. What a reader gets is made on the server (footbridge_widget_html).
 */
(function () {
  const { blocks, element, blockEditor } = /** @type {any} */ (window).wp;
  const table = /** @type {any} */ (window).footbridgeWidgetAttributes;
  const h = element.createElement;

  /** @param {string} name @param {any} attribute @param {any} props of the block */
  function field(name, attribute, props) {
    const value = props.attributes[name] ?? '';
    /** @param {{ target: { value: string } }} event */
    const onChange = ({ target }) => props.setAttributes({ [name]: target.value || undefined });
    const values = attribute.values ?? (attribute.kind === 'flag' ? ['on', 'off'] : undefined);
    const input = values
      ? h('select', { value, onChange }, h('option', { value: '' }, '–'),
        ...values.map((/** @type {string} */ one) => h('option', { key: one, value: one }, one)))
      : h('input', { value, onChange, type: attribute.kind === 'number' ? 'number' : 'text',
        min: attribute.min, max: attribute.max });
    return h('label', { key: name, title: attribute.meaning, style: { display: 'block' } },
      `${name} `, input);
  }

  /** @param {any} props */
  function edit(props) {
    return h('div', blockEditor.useBlockProps(),
      h('strong', null, 'Footbridge'),
      h('details', null, h('summary', null, 'Otherwise than in the settings'),
        ...Object.keys(table).map((name) => field(name, table[name], props))));
  }

  blocks.registerBlockType('footbridge/widget', { edit, save: () => null });
})();
