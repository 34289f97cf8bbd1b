/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libssi/model/conf: any bytes against a table that has every kind of section and key. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "libssi/model/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct ssi_conf_key keys[] = {
	{ .name = "name", .check = ssi_conf_check_name },
	{ .name = "mode", .words = "server proxy" },
	{ .name = "packages", .flags = SSI_CONF_REPEAT | SSI_CONF_EMPTY },
	{ .name = "power.*" },
	{ .name = "heartbeat", .check = ssi_conf_check_duration },
	{ .name = "size", .check = ssi_conf_check_size },
	{ .name = "on", .check = ssi_conf_check_bool },
	{ 0 },
};
static const struct ssi_conf_section sections[] = {
	{ .kind = "node", .name = "RANGE", .keys = keys }, { .kind = "image", .keys = keys }, { 0 },
};

static int fuzz_section(struct ssi_conf *c, const struct ssi_conf_section *s, const char *name, void *userdata)
{
	if (strlen(name) > SSI_CONF_LINE_MAX || !s->name != !*name)
		abort();
	return name[0] == 'x';
}

static void fuzz_entry(struct ssi_conf *c, const struct ssi_conf_section *s, const struct ssi_conf_key *k,
		       const char *key, const char *value, void *userdata)
{
	if (!*key || (!*value && !(k->flags & SSI_CONF_EMPTY)) || strpbrk(value, "\n\r\x7f"))
		abort();
	if (value[0] == '!')
		ssi_conf_mistake(c, "%s", value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct ssi_conf_ops ops = { .section = fuzz_section, .entry = fuzz_entry };
	_cleanup_buf_ struct ssi_buf text = SSI_BUF_INIT;
	struct ssi_conf_errors errors = { .to = &text };
	unsigned lines = 0;

	ssi_conf_parse("fuzz.ini", (const char *)data, size, sections, &ops, NULL, &errors);
	ssi_conf_errors_end(&errors);
	for (size_t i = 0; i < text.len; i++)
		lines += text.data[i] == '\n';
	if (lines != (errors.n > SSI_CONF_ERRORS_MAX ? SSI_CONF_ERRORS_MAX + 1 : errors.n))
		abort();
	return 0;
}
