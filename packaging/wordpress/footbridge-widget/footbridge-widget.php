<?php
/**
 * Plugin Name: Footbridge Widget
 * Description: A switch by which your readers lend their browser to people whose country blocks the free press. As a block, or as [footbridge].
 * Version: 1.0.0
 * Requires at least: 6.1
 * Requires PHP: 7.4
 * License: Apache-2.0
 * License URI: https://www.apache.org/licenses/LICENSE-2.0
 * Text Domain: footbridge-widget
 *
 * It emits one tag and does nothing else: no request leaves this site's server, nothing is stored
 * but the settings, and no script runs on a page that has no widget.
 */

defined('ABSPATH') || exit;

const FOOTBRIDGE_WIDGET_OPTION = 'footbridge_widget';
const FOOTBRIDGE_WIDGET_SCRIPT = '/widget-1.js';
/* Of that script, whichever operator serves it: version 1 never changes. */
const FOOTBRIDGE_WIDGET_INTEGRITY = 'sha384-lPrn0I/F7PnnoSn1ZzlubodxI0IM13a402YB8kkGiHkq1x19cfkWmzgWFR0VBZ34';

/** The widget's attributes: name => kind, default and what values there are. */
function footbridge_widget_attributes(): array {
    static $table = null;
    $table ??= wp_json_file_decode(__DIR__ . '/attributes.json', ['associative' => true]);
    return $table ?? [];
}

/** An attribute's value as it may be written, or null. Values come from settings and from authors. */
function footbridge_widget_value(array $attribute, $value): ?string {
    if (is_bool($value)) {
        $value = $value ? 'on' : 'off';
    }
    if (!is_scalar($value)) {
        return null;
    }
    $value = trim((string) $value);
    switch ($attribute['kind']) {
        case 'choice':
            return in_array($value, $attribute['values'], true) ? $value : null;
        case 'flag':
            return in_array($value, ['on', 'off'], true) ? $value : null;
        case 'number':
            $good = preg_match('/\A\d{1,4}\z/', $value) && (int) $value >= $attribute['min']
                && (int) $value <= $attribute['max'];
            return $good ? (string) (int) $value : null;
        case 'url':
            $url = sanitize_url($value, ['https', 'http']);
            return preg_match('#\Ahttps?://[^/?\#]#i', $url) ? $url : null;
        case 'language':
            return preg_match('/\A[a-z]{2,4}(-[a-z\d]{2,8}){0,3}\z/i', $value) ? $value : null;
    }
    return null;
}

/** Those that are understood and say something else than the default. */
function footbridge_widget_sanitize_attributes($given): array {
    $good = [];
    foreach (footbridge_widget_attributes() as $name => $attribute) {
        if (!is_array($given) || !isset($given[$name])) {
            continue;
        }
        $value = footbridge_widget_value($attribute, $given[$name]);
        if ($value !== null && $value !== $attribute['default']) {
            $good[$name] = $value;
        }
    }
    return $good;
}

/** The operator's origin, "https://host" without a path; '' where it is none. */
function footbridge_widget_operator($given): string {
    $url = is_string($given) ? wp_parse_url(trim($given)) : false;
    if (!is_array($url) || !isset($url['scheme'], $url['host']) || isset($url['user'])
        || isset($url['query']) || isset($url['fragment']) || trim($url['path'] ?? '', '/') !== '') {
        return '';
    }
    $scheme = strtolower($url['scheme']);
    $host = strtolower($url['host']);
    $here = in_array($host, ['localhost', '127.0.0.1'], true); // somebody tries it out
    if (!preg_match('/\A[a-z\d]([a-z\d.-]*[a-z\d])?\z/', $host)
        || !($scheme === 'https' || ($scheme === 'http' && $here))) {
        return '';
    }
    return "$scheme://$host" . (isset($url['port']) ? ':' . (int) $url['port'] : '');
}

/** What the settings page sends, as it is kept. */
function footbridge_widget_sanitize($given): array {
    $given = is_array($given) ? $given : [];
    $operator = footbridge_widget_operator($given['operator'] ?? '');
    if ($operator === '' && ($given['operator'] ?? '') !== '' && is_admin()) {
        add_settings_error(FOOTBRIDGE_WIDGET_OPTION, 'operator', __(
            'The operator’s address must be like https://bridge.example, and begin with https.',
            'footbridge-widget'
        ));
    }
    return ['operator' => $operator] + footbridge_widget_sanitize_attributes($given);
}

/** The settings, whoever wrote them into the database. */
function footbridge_widget_settings(): array {
    return footbridge_widget_sanitize(get_option(FOOTBRIDGE_WIDGET_OPTION, []));
}

/** The tag; '' while no operator is set, and in feeds, which take no scripts. */
function footbridge_widget_html($given): string {
    $settings = footbridge_widget_settings();
    $operator = $settings['operator'];
    if ($operator === '' || is_feed()) {
        return '';
    }
    $given = is_array($given) ? $given : [];
    foreach ($given as $key => $value) { // [footbridge globe]
        if (is_int($key) && is_string($value)) {
            $given[$value] = 'on';
        }
    }
    /* What an author writes wins over the settings, also where it says the default. */
    $all = array_diff_key($settings, ['operator' => '']);
    foreach (footbridge_widget_attributes() as $name => $attribute) {
        $value = footbridge_widget_value($attribute, $given[$name] ?? null);
        if ($value !== null && $value !== '') {
            $all[$name] = $value;
        }
    }
    $html = '';
    foreach ($all as $name => $value) {
        $html .= sprintf(' %s="%s"', esc_attr($name), esc_attr($value));
    }
    /* With each widget: a theme may show a text that another has already taken the script from. A
     * browser runs a module once. */
    return wp_get_script_tag([
        'type' => 'module',
        'src' => esc_url_raw($operator . FOOTBRIDGE_WIDGET_SCRIPT),
        'integrity' => FOOTBRIDGE_WIDGET_INTEGRITY,
        'crossorigin' => 'anonymous',
    ]) . "<footbridge-widget$html></footbridge-widget>";
}

add_shortcode('footbridge', 'footbridge_widget_html');

add_action('init', function () {
    $attributes = [];
    foreach (array_keys(footbridge_widget_attributes()) as $name) {
        $attributes[$name] = ['type' => 'string'];
    }
    register_block_type(__DIR__ . '/block', [
        'attributes' => $attributes,
        'render_callback' => 'footbridge_widget_html',
    ]);
    register_setting(FOOTBRIDGE_WIDGET_OPTION, FOOTBRIDGE_WIDGET_OPTION, [
        'type' => 'array',
        'sanitize_callback' => 'footbridge_widget_sanitize',
        'default' => [],
        'show_in_rest' => false,
    ]);
});

/* What the block's editor needs to know: the table, for its fields. */
add_action('enqueue_block_editor_assets', function () {
    wp_add_inline_script(
        'footbridge-widget-editor-script',
        'var footbridgeWidgetAttributes = '
            . wp_json_encode(footbridge_widget_attributes(), JSON_HEX_TAG | JSON_HEX_AMP) . ';',
        'before'
    );
});

if (is_admin()) {
    require __DIR__ . '/settings.php';
}
