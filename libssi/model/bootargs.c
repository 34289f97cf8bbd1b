/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ssi. words of a kernel command line. Read by ssi-init as PID 1 (nothing is allocated), written by bootsvc into boot
 * scripts. ssi. words it does not know are passed over: an older initramfs must boot under a newer master.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "libssi/base/num.h"
#include "libssi/base/path.h"
#include "libssi/model/bootargs.h"
#include "libssi/model/wire.h"

#define BOOTARGS_WORD 320      /* bytes of a word with its value; ours are shorter */
#define BOOTARGS_DELAY_MAX 86400

static int bootargs_copy(const char *v, char *ret, size_t n)
{
	size_t len = strlen(v);

	if (!len || len >= n)
		return -EINVAL;
	memcpy(ret, v, len + 1);
	return 0;
}

static int bootargs_name(const char *v, char *ret, size_t n)
{
	return ssi_path_is_name(v) ? bootargs_copy(v, ret, n) : -EINVAL;
}

/* "ADDRESS" or, when sep is in it, "ADDRESS<sep>NUMBER" of 1..max; *ret_n is left alone without one. */
static int bootargs_address(const char *v, char sep, uint32_t max, struct in_addr *ret, uint32_t *ret_n)
{
	const char *number = strchr(v, sep);
	size_t len = number ? (size_t)(number - v) : strlen(v);
	char text[INET_ADDRSTRLEN];
	uint32_t n = *ret_n;
	struct in_addr a;

	if (len >= sizeof(text))
		return -EINVAL;
	memcpy(text, v, len);
	text[len] = '\0';
	if (inet_pton(AF_INET, text, &a) != 1 || !a.s_addr || (number && ssi_num_u32(number + 1, 1, max, &n) < 0))
		return -EINVAL;
	*ret = a;
	*ret_n = n;
	return 0;
}

/* n bytes: ADDRESS:PORT. */
static int bootargs_server(const char *v, size_t n, struct in_addr *ret_address, uint16_t *ret_port)
{
	char server[INET_ADDRSTRLEN + sizeof(":65535")];
	struct in_addr a;
	uint32_t port = 0;

	if (n >= sizeof(server))
		return -EINVAL;
	memcpy(server, v, n);
	server[n] = '\0';
	if (bootargs_address(server, ':', UINT16_MAX, &a, &port) < 0 || !port)
		return -EINVAL;
	*ret_address = a;
	*ret_port = (uint16_t)port;
	return 0;
}

int ssi_bootargs_http(const char *root, struct in_addr *ret_address, uint16_t *ret_port, const char **ret_path)
{
	size_t skip = strlen("ram:http://"), len;
	int r;

	if (strncmp(root, "ram:http://", skip) != 0)
		return -EINVAL;
	len = strcspn(root + skip, "/");
	r = root[skip + len] == '/' ? bootargs_server(root + skip, len, ret_address, ret_port) : -EINVAL;
	if (r == 0)
		*ret_path = root + skip + len;
	return r;
}

int ssi_bootargs_portal(const char *list, unsigned i, struct in_addr *ret_address, uint16_t *ret_port)
{
	for (; i; i--) {
		list += strcspn(list, ",");
		if (!*list++)
			return -ENOENT;
	}
	return bootargs_server(list, strcspn(list, ","), ret_address, ret_port);
}

/* Nothing but printable ASCII: words are separated by blanks, and a path goes into a request as it stands. */
static bool bootargs_plain(const char *v)
{
	for (; *v; v++)
		if (*v <= ' ' || *v > '~' || *v == '"')
			return false;
	return true;
}

/* "/...", "LABEL=..." or "UUID=..." behind "disk:". */
static bool bootargs_disk(const char *v)
{
	const char *where = v + 5;

	return !strncmp(v, "disk:", 5) && ((where[0] == '/' && where[1]) || (!strncmp(where, "LABEL=", 6) && where[6]) ||
					     (!strncmp(where, "UUID=", 5) && where[5]));
}

static int set_node(const char *v, struct ssi_bootargs *a)
{
	return bootargs_name(v, a->node, sizeof(a->node));
}

static int set_number(const char *v, struct ssi_bootargs *a)
{
	return ssi_num_u32(v, 1, SSI_BOOTARGS_NUMBER_MAX, &a->number);
}

static int set_system(const char *v, struct ssi_bootargs *a)
{
	return bootargs_name(v, a->system, sizeof(a->system));
}

static int set_mac(const char *v, struct ssi_bootargs *a)
{
	return ssi_mac_parse(v, a->mac);
}

static int set_ip(const char *v, struct ssi_bootargs *a)
{
	a->prefix = 0;
	return bootargs_address(v, '/', 32, &a->address, &a->prefix) < 0 || !a->prefix ? -EINVAL : 0;
}

static int set_gw(const char *v, struct ssi_bootargs *a)
{
	uint32_t none = 0;

	return bootargs_address(v, '/', 0, &a->gateway, &none);
}

static int set_master(const char *v, struct ssi_bootargs *a)
{
	uint32_t port = SSI_WIRE_PORT;
	int r = bootargs_address(v, ':', UINT16_MAX, &a->master, &port);

	a->port = port;
	return r;
}

static int set_inc(const char *v, struct ssi_bootargs *a)
{
	return ssi_num_u64(v, 1, UINT64_MAX, &a->incarnation);
}

static int bootargs_digits(const char *v, char ret[65])
{
	if (strlen(v) != 64 || v[strspn(v, "0123456789abcdef")])
		return -EINVAL;
	return bootargs_copy(v, ret, 65);
}

static int set_token(const char *v, struct ssi_bootargs *a)
{
	return bootargs_digits(v, a->token);
}

/* iscsi: and the serial number of the image's disk, 32 digits. */
static bool bootargs_serial(const char *v)
{
	return !strncmp(v, "iscsi:", 6) && strspn(v + 6, "0123456789abcdef") == 32 && !v[6 + 32];
}

static int set_root(const char *v, struct ssi_bootargs *a)
{
	struct in_addr server;
	const char *path;
	uint16_t port;

	if (!bootargs_plain(v) || (!bootargs_disk(v) && strncmp(v, "nfs:/", 5) != 0 && ssi_bootargs_http(v, &server, &port, &path) < 0 &&
				   !bootargs_serial(v)))
		return -EINVAL;
	return bootargs_copy(v, a->root, sizeof(a->root));
}

static int set_iscsi(const char *v, struct ssi_bootargs *a)
{
	struct in_addr address;
	uint16_t port;
	unsigned n = 0;
	int r;

	while ((r = ssi_bootargs_portal(v, n, &address, &port)) == 0)
		n++;
	return r == -ENOENT ? bootargs_copy(v, a->iscsi, sizeof(a->iscsi)) : r;
}

static int set_root_size(const char *v, struct ssi_bootargs *a)
{
	return ssi_num_u64(v, 1, INT64_MAX, &a->root_size);
}

static int set_root_sha256(const char *v, struct ssi_bootargs *a)
{
	return bootargs_digits(v, a->root_sha256);
}

static int set_state(const char *v, struct ssi_bootargs *a)
{
	return bootargs_plain(v) && bootargs_disk(v) ? bootargs_copy(v, a->state, sizeof(a->state)) : -EINVAL;
}

static int set_shared(const char *v, struct ssi_bootargs *a)
{
	if (strchr(v, ':') || ssi_shared_check(v, NULL) < 0)
		return -EINVAL;
	return bootargs_copy(v, a->shared, sizeof(a->shared));
}

static int set_init(const char *v, struct ssi_bootargs *a)
{
	if (strcmp(v, "ssi") != 0 && strcmp(v, "systemd") != 0)
		return -EINVAL;
	return bootargs_copy(v, a->init, sizeof(a->init));
}

static int set_delay(const char *v, struct ssi_bootargs *a)
{
	return ssi_num_u32(v, 0, BOOTARGS_DELAY_MAX, &a->delay_s);
}

static int bootargs_flag(const char *v, bool *ret)
{
	int r = *v ? ssi_num_bool(v) : 1;

	*ret = r > 0;
	return r;
}

static int set_rescue(const char *v, struct ssi_bootargs *a)
{
	return bootargs_flag(v, &a->rescue);
}

static int set_debug(const char *v, struct ssi_bootargs *a)
{
	return bootargs_flag(v, &a->debug);
}

static const struct bootargs_word {
	const char *name;
	int (*set)(const char *v, struct ssi_bootargs *a);
	const char *meant;
	enum { ALWAYS = 1, NETWORK = 2, RAM = 3, ISCSI = 4 } needed;       /* NETWORK: unless the root is a disk; RAM, ISCSI: if it is that */
} bootargs_words[] = {
	{ "ssi.root", set_root, "nfs:/PATH, ram:http://ADDRESS:PORT/PATH, iscsi:SERIAL, disk:/dev/NAME, disk:UUID=ID or disk:LABEL=NAME", ALWAYS },
	{ "ssi.root.size", set_root_size, "the image's size in bytes", RAM },
	{ "ssi.root.sha256", set_root_sha256, "64 hexadecimal digits", RAM },
	{ "ssi.node", set_node, "a node's name", NETWORK },
	{ "ssi.number", set_number, "a node's number, 1 to 1073741823", NETWORK },
	{ "ssi.system", set_system, "a system's name", 0 },
	{ "ssi.mac", set_mac, "an Ethernet address such as 52:54:00:00:00:01", NETWORK },
	{ "ssi.ip", set_ip, "an address with its prefix such as 10.77.0.11/24", NETWORK },
	{ "ssi.gw", set_gw, "an address such as 10.77.0.1", 0 },
	{ "ssi.master", set_master, "an address with a port such as 10.77.0.1:7701", NETWORK },
	{ "ssi.inc", set_inc, "a number from 1 on", NETWORK },
	{ "ssi.token", set_token, "64 hexadecimal digits", NETWORK },
	{ "ssi.iscsi", set_iscsi, "addresses with their ports such as 10.77.0.1:3260, commas between", ISCSI },
	{ "ssi.state", set_state, "disk:/dev/NAME, disk:UUID=ID or disk:LABEL=NAME", 0 },
	{ "ssi.shared", set_shared, "paths such as /home, commas between", 0 },
	{ "ssi.init", set_init, "ssi or systemd", 0 },
	{ "ssi.delay", set_delay, "seconds, at most 86400", 0 },
	{ "ssi.rescue", set_rescue, "yes or no, or nothing", 0 },
	{ "ssi.debug", set_debug, "yes or no, or nothing", 0 },
};
#define BOOTARGS_WORDS (sizeof(bootargs_words) / sizeof(*bootargs_words))

static bool bootargs_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/*
 * The next word of a command line as the kernel's next_arg() takes it: blanks inside double quotes do not end it, quotes
 * around the whole or around the value do not belong to it. Returns what follows it, NULL at the end. A word that does
 * not fit in word is left empty: it is none of ours, or the caller's check of it fails as well.
 */
static const char *bootargs_next(const char *s, char word[BOOTARGS_WORD], char **ret_value)
{
	bool quoted, in_quote;
	size_t n = 0, len, eq = 0, skip;

	while (bootargs_space(*s))
		s++;
	if (!*s)
		return NULL;
	quoted = in_quote = *s == '"';
	s += quoted;
	for (; s[n] && (in_quote || !bootargs_space(s[n])); n++) {
		if (s[n] == '=' && !eq)
			eq = n;
		if (s[n] == '"')
			in_quote = !in_quote;
	}
	skip = eq && s[eq + 1] == '"';
	len = n && s[n - 1] == '"' && (quoted || skip) && n - 1 > eq + skip ? n - 1 : n;
	if (skip && n == eq + 2)
		len = n;
	*ret_value = NULL;
	word[0] = '\0';
	if (len < BOOTARGS_WORD) {
		memcpy(word, s, len);
		word[len] = '\0';
		if (eq) {
			word[eq] = '\0';
			*ret_value = word + eq + 1 + skip;
		}
	} else if (!strncmp(s, "ssi.", 4)) {
		snprintf(word, BOOTARGS_WORD, "%.*s", (int)(eq && eq < 64 ? eq : 64), s);
		*ret_value = word + strlen(word);      /* too long is as wrong as empty */
	}
	return s + n;
}

static int bootargs_missing(const struct ssi_bootargs *a, unsigned seen, struct ssi_err *e)
{
	bool disk = !strncmp(a->root, "disk:", 5), ram = !strncmp(a->root, "ram:", 4), iscsi = !strncmp(a->root, "iscsi:", 6);

	for (size_t i = 0; i < BOOTARGS_WORDS; i++) {
		const struct bootargs_word *w = &bootargs_words[i];

		if (seen & 1u << i || !w->needed || (w->needed == NETWORK && disk) || (w->needed == RAM && !ram) ||
		    (w->needed == ISCSI && !iscsi))
			continue;
		return ssi_errf(e, -EINVAL, "no %s on the kernel command line: it should be %s", w->name, w->meant);
	}
	return 0;
}

int ssi_bootargs_parse(const char *cmdline, struct ssi_bootargs *ret, struct ssi_err *e)
{
	struct ssi_bootargs a = { .init = "ssi", .delay_s = 30 };
	char word[BOOTARGS_WORD], *value;
	unsigned seen = 0;
	int r;

	while ((cmdline = bootargs_next(cmdline, word, &value))) {
		for (size_t i = 0; i < BOOTARGS_WORDS; i++) {
			const struct bootargs_word *w = &bootargs_words[i];

			if (strcmp(w->name, word) != 0)
				continue;
			if (w->set(value ? value : "", &a) < 0)
				return ssi_errf(e, -EINVAL, "%s=%.80s: should be %s", w->name, value ? value : "", w->meant);
			seen |= 1u << i;
		}
	}
	r = bootargs_missing(&a, seen, e);
	if (r < 0)
		return r;
	*ret = a;
	return 0;
}

/* ---- writing ---- */

struct bootargs_out {
	char *buf;
	size_t n, len;
	bool over;
};

__attribute__((format(printf, 2, 3)))
static void bootargs_add(struct bootargs_out *o, const char *fmt, ...)
{
	va_list ap;
	int len;

	if (o->over)
		return;
	if (o->len && o->len < o->n)
		o->buf[o->len++] = ' ';
	va_start(ap, fmt);
	len = vsnprintf(o->buf + o->len, o->n - o->len, fmt, ap);
	va_end(ap);
	o->over = len < 0 || (size_t)len >= o->n - o->len;
	o->len += o->over ? 0 : (size_t)len;
}

static void bootargs_add_text(struct bootargs_out *o, const char *name, const char *value)
{
	if (*value)
		bootargs_add(o, "%s=%s", name, value);
}

int ssi_bootargs_format(const struct ssi_bootargs *a, char *buf, size_t n)
{
	struct bootargs_out o = { .buf = buf, .n = n, .over = n == 0 };
	char ip[INET_ADDRSTRLEN];

	bootargs_add_text(&o, "ssi.node", a->node);
	if (a->number)
		bootargs_add(&o, "ssi.number=%" PRIu32, a->number);
	bootargs_add_text(&o, "ssi.system", a->system);
	bootargs_add_text(&o, "ssi.mac", a->mac);
	if (a->address.s_addr && inet_ntop(AF_INET, &a->address, ip, sizeof(ip)))
		bootargs_add(&o, "ssi.ip=%s/%u", ip, a->prefix);
	if (a->gateway.s_addr && inet_ntop(AF_INET, &a->gateway, ip, sizeof(ip)))
		bootargs_add(&o, "ssi.gw=%s", ip);
	if (a->master.s_addr && inet_ntop(AF_INET, &a->master, ip, sizeof(ip)))
		bootargs_add(&o, "ssi.master=%s:%u", ip, a->port);
	if (a->incarnation)
		bootargs_add(&o, "ssi.inc=%" PRIu64, a->incarnation);
	bootargs_add_text(&o, "ssi.token", a->token);
	bootargs_add_text(&o, "ssi.root", a->root);
	if (a->root_size)
		bootargs_add(&o, "ssi.root.size=%" PRIu64, a->root_size);
	bootargs_add_text(&o, "ssi.root.sha256", a->root_sha256);
	bootargs_add_text(&o, "ssi.iscsi", a->iscsi);
	bootargs_add_text(&o, "ssi.state", a->state);
	bootargs_add_text(&o, "ssi.shared", a->shared);
	bootargs_add_text(&o, "ssi.init", a->init);
	bootargs_add(&o, "ssi.delay=%u", a->delay_s);
	if (a->rescue)
		bootargs_add(&o, "ssi.rescue");
	if (a->debug)
		bootargs_add(&o, "ssi.debug");
	return o.over ? -ENOSPC : 0;
}
