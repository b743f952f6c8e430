<?php
/**
 * Boots the WordPress at a directory, whose wp-content/db.php needs no server, and answers in JSON.
 *     php wordpress.php DIRECTORY <JSON
 * The JSON: options (of the database), admin (whether this is the dashboard), and one of content (a
 * post's text, shown), sanitize (what a form sends for the option), page (the settings page), block.
 */
[, $root] = $argv;
$ask = json_decode(stream_get_contents(STDIN), true, 512, JSON_THROW_ON_ERROR);
$test_options = $ask['options'] + ['siteurl' => 'https://news.example', 'home' => 'https://news.example',
    'active_plugins' => [], 'template' => '', 'stylesheet' => '', 'blog_charset' => 'UTF-8'];
$_SERVER += ['HTTP_HOST' => 'news.example', 'REQUEST_URI' => '/', 'SERVER_PROTOCOL' => 'HTTP/1.1',
    'REQUEST_METHOD' => 'GET', 'REMOTE_ADDR' => '192.0.2.1', 'HTTPS' => 'on'];
$_SERVER['PHP_SELF'] = '/index.php';
define('ABSPATH', "$root/");
define('WP_ADMIN', $ask['admin'] ?? false);
define('DB_NAME', '');
define('DB_USER', '');
define('DB_PASSWORD', '');
define('DB_HOST', '');
define('WP_DEBUG', true);
define('WP_DEBUG_DISPLAY', false);
define('WP_HTTP_BLOCK_EXTERNAL', true);
define('DISABLE_WP_CRON', true);
define('WP_MEMORY_LIMIT', '256M');
foreach (['AUTH', 'SECURE_AUTH', 'LOGGED_IN', 'NONCE'] as $name) {
    define("{$name}_KEY", 'test');
    define("{$name}_SALT", 'test');
}
$table_prefix = 'wp_';

/* What WordPress or PHP have to complain of in the plugin. */
$complaints = [];
set_error_handler(function ($number, $text, $file) use (&$complaints) {
    if (str_contains($file, 'footbridge') || str_contains($text, 'footbridge')) {
        $complaints[] = "$file: $text";
    }
    return true;
});
require ABSPATH . 'wp-settings.php';
$requests = [];
add_filter('pre_http_request', function ($response, $arguments, $url) use (&$requests) {
    $requests[] = $url;
    return new WP_Error('none', 'no request leaves');
}, 10, 3);

$answer = null;
if (isset($ask['content'])) {
    $answer = apply_filters('the_content', wp_kses_post($ask['content']));
} elseif (isset($ask['sanitize'])) {
    if (WP_ADMIN) {
        require_once ABSPATH . 'wp-admin/includes/template.php';
    }
    $answer = sanitize_option('footbridge_widget', $ask['sanitize']);
} elseif (isset($ask['page'])) {
    require_once ABSPATH . 'wp-admin/includes/admin.php';
    add_filter('user_has_cap', fn($all, $wanted) => $ask['page'] === 'admin'
        ? array_fill_keys($wanted, true) : [], 10, 2);
    do_action('admin_menu');
    ob_start();
    footbridge_widget_settings_page();
    $answer = ob_get_clean();
} elseif (isset($ask['block'])) {
    $type = WP_Block_Type_Registry::get_instance()->get_registered('footbridge/widget');
    do_action('enqueue_block_editor_assets');
    $handle = ($type->editor_script_handles ?? [$type->editor_script])[0];
    $script = wp_scripts()->registered[$handle];
    $answer = ['attributes' => array_keys($type->attributes), 'deps' => $script->deps,
        'before' => implode("\n", $script->extra['before'] ?? [])];
}
echo json_encode(['answer' => $answer, 'complaints' => $complaints, 'requests' => $requests,
    'version' => $wp_version], JSON_THROW_ON_ERROR);
exit(0);
