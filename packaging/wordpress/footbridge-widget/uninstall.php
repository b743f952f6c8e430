<?php
/** Nothing stays behind. */

defined('WP_UNINSTALL_PLUGIN') || exit;

delete_option('footbridge_widget');
if (is_multisite()) {
    foreach (get_sites(['fields' => 'ids', 'number' => 0]) as $footbridge_widget_site) {
        delete_blog_option($footbridge_widget_site, 'footbridge_widget');
    }
}
