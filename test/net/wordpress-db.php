<?php
/**
 * WordPress's db.php: a database that has the options it is given and nothing else, and forgets what
 * it is told.
 */

class Options_Only extends wpdb {
    public array $rows = [];

    public function __construct(array $options) {
        $this->ready = true;
        $this->charset = 'utf8mb4';
        foreach ($options as $name => $value) {
            $this->rows[] = (object) ['option_name' => $name, 'autoload' => 'yes',
                'option_value' => is_array($value) ? serialize($value) : $value];
        }
    }

    public function query($query) {
        $this->last_result = [];
        if (preg_match("/^\s*SELECT .* FROM wp_options\b/s", $query)) {
            preg_match("/option_name = '([^']*)'/", $query, $one);
            $this->last_result = array_values(array_filter(
                $this->rows,
                fn($row) => !isset($one[1]) || $row->option_name === $one[1]
            ));
        }
        $this->num_rows = count($this->last_result);
        return $this->num_rows;
    }

    public function _real_escape($data) {
        return addslashes((string) $data);
    }

    public function db_connect($allow_bail = true) {
        return true;
    }

    public function db_version() {
        return '8.0';
    }

    public function db_server_info() {
        return '8.0';
    }

    public function has_cap($capability) {
        return true;
    }

    public function get_col_charset($table, $column) {
        return 'utf8mb4';
    }

    public function strip_invalid_text_for_column($table, $column, $value) {
        return $value;
    }

    public function close() {
        return true;
    }
}

global $wpdb;
$wpdb = new Options_Only($GLOBALS['test_options']);
