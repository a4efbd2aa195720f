<?php
// nginx for a PHP site on Heroku, for `heroku-php-nginx -c nginx_heroku.conf.php public/`: the buildpack's own configuration
// with compression that works behind the router, and an access log that tells of each answer whether it was compressed.
//
// The buildpack runs a file that ends in .php through PHP when a dyno starts, and takes what that prints. So this is no copy
// of its configuration that grows old: it reads the one of the buildpack that is deployed, and changes two places in it.
// If those are not found there any more, it says so in the log and leaves all as it is: the site starts in any case.

$format = <<<'NGINX'

	gzip on;
	gzip_proxied any;
	gzip_types text/css text/plain text/xml text/javascript application/javascript application/json application/ld+json application/manifest+json application/xml application/rss+xml application/atom+xml image/svg+xml font/ttf font/otf application/x-font-ttf application/vnd.ms-fontobject;
	gzip_vary on;
	gzip_min_length 1400;
	gzip_comp_level 5;

	# It ends without a quote: the buildpack strips one from the end of each line on its way to the log.
	log_format heroku_kv escape=json
		'nginx_access v=1 ts=$msec request_id="$http_x_request_id" method="$request_method" uri="$request_uri" '
		'status=$status bytes_sent=$bytes_sent body_bytes_sent=$body_bytes_sent '
		'content_type="$sent_http_content_type" content_encoding="$sent_http_content_encoding" gzip_ratio="$gzip_ratio" '
		'accept_encoding="$http_accept_encoding" request_length=$request_length request_time=$request_time '
		'upstream_time="$upstream_response_time" xff="$http_x_forwarded_for" referer="$http_referer" '
		'ua="$http_user_agent" end=1';

NGINX;

$script = trim((string) shell_exec('command -v heroku-php-nginx')) ?: getenv('HEROKU_APP_DIR') . '/vendor/bin/heroku-php-nginx';
$stock = dirname((string) realpath($script), 2) . '/conf/nginx/heroku.conf.php';
if (!is_file($stock)) {
    fwrite(STDERR, "nginx_heroku.conf.php: the buildpack's heroku.conf.php was not found; start without -c\n");
    exit(1);
}

ob_start();
include $stock;
$configuration = ob_get_clean();

$changed = preg_replace('/^http\s*\{/m', "\\0\n" . addcslashes($format, '\\$'), $configuration, 1, $opened);
$changed = preg_replace('/^(\s*access_log\s+\S*heroku\.nginx_access\.\S+\.log)\s*;/m', '$1 heroku_kv;', $changed, 1, $logged);
if ($opened !== 1 || $logged !== 1) {
    fwrite(STDERR, "nginx_heroku.conf.php: the buildpack's heroku.conf.php is not as expected; it is used unchanged\n");
    $changed = $configuration;
}
echo $changed;
