<?php
/** Settings > Footbridge: the operator's address, and what widgets are like unless told otherwise. */

defined('ABSPATH') || exit;

add_action('admin_menu', function () {
    add_options_page(
        __('Footbridge', 'footbridge-widget'),
        __('Footbridge', 'footbridge-widget'),
        'manage_options',
        FOOTBRIDGE_WIDGET_OPTION,
        'footbridge_widget_settings_page'
    );
});

/** @param string $name of an attribute, or 'operator' */
function footbridge_widget_field(string $name, array $attribute, string $value): string {
    $id = esc_attr("footbridge-$name");
    $field = esc_attr(FOOTBRIDGE_WIDGET_OPTION . "[$name]");
    $values = $attribute['values'] ?? ($attribute['kind'] === 'flag' ? ['on', 'off'] : []);
    if ($values !== []) {
        $html = "<select id=\"$id\" name=\"$field\">";
        foreach ($values as $one) {
            $html .= sprintf('<option%s>%s</option>', selected($one, $value, false), esc_html($one));
        }
        return "$html</select>";
    }
    $types = ['number' => 'number', 'url' => 'url', 'language' => 'text'];
    $range = $attribute['kind'] === 'number'
        ? sprintf(' min="%d" max="%d"', $attribute['min'], $attribute['max']) : '';
    return sprintf(
        '<input id="%s" name="%s" type="%s" value="%s" class="regular-text"%s>',
        $id,
        $field,
        $types[$attribute['kind']],
        esc_attr($value),
        $range
    );
}

function footbridge_widget_settings_page(): void {
    if (!current_user_can('manage_options')) {
        return;
    }
    $settings = footbridge_widget_settings();
    $operator = ['kind' => 'url', 'default' => '', 'meaning' => __(
        'The address of whoever runs the network, such as https://bridge.example.',
        'footbridge-widget'
    )];
    echo '<div class="wrap"><h1>', esc_html__('Footbridge', 'footbridge-widget'), '</h1>';
    echo '<p>', esc_html__(
        'Put a Footbridge block or [footbridge] into a page. A block and a shortcode may say otherwise than what stands here: [footbridge layout="badge"].',
        'footbridge-widget'
    ), '</p><form method="post" action="options.php">';
    settings_fields(FOOTBRIDGE_WIDGET_OPTION);
    echo '<table class="form-table" role="presentation">';
    foreach (['operator' => $operator] + footbridge_widget_attributes() as $name => $attribute) {
        printf(
            '<tr><th scope="row"><label for="%s">%s</label></th><td>%s<p class="description">%s</p></td></tr>',
            esc_attr("footbridge-$name"),
            esc_html($name),
            // Made of escaped parts.
            footbridge_widget_field($name, $attribute, $settings[$name] ?? $attribute['default']),
            esc_html($attribute['meaning'])
        );
    }
    echo '</table>';
    submit_button();
    echo '</form></div>';
}
