/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libssi/model/conf: what a text gives, and what each mistake in it says. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "libssi/model/conf.h"

static const struct ssi_conf_key image_keys[] = {
	{ .name = "name", .check = ssi_conf_check_name },
	{ .name = "packages", .flags = SSI_CONF_REPEAT },
	{ .name = "mirror", .flags = SSI_CONF_EMPTY },
	{ .name = "source", .words = "debian directory" },
	{ .name = "size", .check = ssi_conf_check_size },
	{ .name = "wait", .check = ssi_conf_check_duration },
	{ .name = "on", .check = ssi_conf_check_bool },
	{ 0 },
};
static const struct ssi_conf_key machine_keys[] = { { .name = "power.*" }, { 0 } };
static const struct ssi_conf_section sections[] = {
	{ .kind = "image", .keys = image_keys },
	{ .kind = "machine", .name = "MAC", .keys = machine_keys },
	{ 0 },
};

static int said_section(struct ssi_conf *c, const struct ssi_conf_section *s, const char *name, void *userdata)
{
	ssi_buf_addf(userdata, "%u[%s|%s]", ssi_conf_line(c), s->kind, name);
	return 0;
}

static void said_entry(struct ssi_conf *c, const struct ssi_conf_section *s, const struct ssi_conf_key *k,
		       const char *key, const char *value, void *userdata)
{
	ssi_buf_addf(userdata, "%u:%s=%s;", ssi_conf_line(c), key, value);
}

static void check_n(const char *text, size_t len, const char *said, const char *mistakes)
{
	static const struct ssi_conf_ops ops = { .section = said_section, .entry = said_entry };
	_cleanup_buf_ struct ssi_buf out = SSI_BUF_INIT, err = SSI_BUF_INIT;
	struct ssi_conf_errors errors = { .to = &err };

	ssi_buf_adds(&out, "");
	ssi_buf_adds(&err, "");
	assert_int_equal(ssi_conf_parse("f", text, len, sections, &ops, &out, &errors), 0);
	assert_int_equal(ssi_conf_errors_end(&errors), *mistakes ? -EINVAL : 0);
	assert_string_equal(out.data, said);
	assert_string_equal(err.data, mistakes);
}

static void check(const char *text, const char *said, const char *mistakes)
{
	check_n(text, strlen(text), said, mistakes);
}

static void good_texts(void **state)
{
	check("", "", "");
	check("\xef\xbb\xbf# c\r\n[image] ; c\r\n name\t=  a  # c\r\n", "2[image|]3:name=a;", "");
	check("[machine  n[01-64], b]", "1[machine|n[01-64], b]", "");
	check("[image]\npackages=a b\npackages=c=d#e\nmirror =\n", "1[image|]2:packages=a b;3:packages=c=d#e;4:mirror=;", "");
	check("[machine x]\npower.ip = 1\n", "1[machine|x]2:power.ip=1;", "");
	check("[image]\nname = a\n[image]\nname = b\n", "1[image|]2:name=a;3[image|]4:name=b;", "");
	check("[image]\nsource = directory\nsize = 2G\nwait=3s\non = no", "1[image|]2:source=directory;3:size=2G;4:wait=3s;5:on=no;", "");
	check("[image]\npackages = h\xc3\xa9\n", "1[image|]2:packages=h\xc3\xa9;", "");
}

static void broken_structure(void **state)
{
	check("name = a\n", "", "f:1: key 'name' outside of any section\n");
	check("[image\nname = a\n[image]\n", "3[image|]", "f:1: section header without ']' at its end: [image\n");
	check("[]\n[ ]\n", "", "f:1: empty section header\nf:2: empty section header\n");
	check("[imgae]\nfoo = 1\n", "", "f:1: unknown section [imgae]: did you mean [image]?\n");
	check("[frobnicate]\n", "", "f:1: unknown section [frobnicate]\n");
	check("[machine]\n", "", "f:1: [machine] without a name: write [machine MAC]\n");
	check("[image x]\n", "", "f:1: [image] takes no name, here it has 'x'\n");
	check("[image]\nname\n", "1[image|]", "f:2: neither '[section]' nor 'key = value': name\n");
	check("[image]\n= a\n", "1[image|]", "f:2: '' is no key\n");
	check("[image]\nna me = a\n", "1[image|]", "f:2: 'na me' is no key\n");
}

static void broken_values(void **state)
{
	check("[image]\nnmae = a\n", "1[image|]", "f:2: unknown key 'nmae' in [image]: did you mean 'name'?\n");
	check("[image]\nzzz = a\n", "1[image|]", "f:2: unknown key 'zzz' in [image]\n");
	check("[machine x]\npower. = 1\n", "1[machine|x]", "f:2: unknown key 'power.' in [machine]: did you mean 'power.*'?\n");
	check("[image]\nname = a\n\nname = b\n", "1[image|]2:name=a;", "f:4: 'name' a second time in this section, first in line 2\n");
	check("[image]\nname =\n", "1[image|]", "f:2: no value for 'name'\n");
	check("[image]\nname = ../a\n", "1[image|]", "f:2: name = ../a: not a name (letters, digits and . _ + -, at most 64)\n");
	check("[image]\nsource = debain\n", "1[image|]", "f:2: source = debain: must be one of: debian directory\n");
	check("[image]\nsize = 2X\nwait = soon\non = maybe\n", "1[image|]",
	      "f:2: size = 2X: not a size such as 512M or 2G\nf:3: wait = soon: not a duration such as 500ms, 3s or 2m\n"
	      "f:4: on = maybe: must be yes or no\n");
}

static void broken_text(void **state)
{
	char *big = calloc(1, SSI_CONF_FILE_MAX + 1);
	char line[SSI_CONF_LINE_MAX + 2];

	check_n("[image]\nname = a\0b\n", 19, "1[image|]", "f:2: a NUL byte in this line: the file must be plain text\n");
	check("[image]\nname = a\x01\n", "1[image|]", "f:2: a control character in this line: the file must be plain text\n");
	check("\xff\n\xc0\x80\n\xed\xa0\x80\n\xf4\x90\x80\x80\n\xe2\x82", "",
	      "f:1: a byte that is not UTF-8 in this line: the file must be plain text\n"
	      "f:2: a byte that is not UTF-8 in this line: the file must be plain text\n"
	      "f:3: a byte that is not UTF-8 in this line: the file must be plain text\n"
	      "f:4: a byte that is not UTF-8 in this line: the file must be plain text\n"
	      "f:5: a byte that is not UTF-8 in this line: the file must be plain text\n");
	memset(line, '#', sizeof(line));
	check_n(line, SSI_CONF_LINE_MAX, "", "");
	check_n(line, SSI_CONF_LINE_MAX + 1, "", "f:1: a line of 4097 bytes: at most 4096 are read\n");
	assert_non_null(big);
	check_n(big, SSI_CONF_FILE_MAX + 1, "", "f: 16777217 bytes: at most 16777216 are read\n");
	free(big);
}

static void message_keeps_whole_characters(void **state)
{
	_cleanup_buf_ struct ssi_buf text = SSI_BUF_INIT, want = SSI_BUF_INIT;

	ssi_buf_adds(&text, "x");
	ssi_buf_adds(&want, "f:1: neither '[section]' nor 'key = value': x");
	for (int i = 0; i < 40; i++)
		ssi_buf_adds(&text, "\xc3\xa9");
	for (int i = 0; i < 29; i++)
		ssi_buf_adds(&want, "\xc3\xa9");
	ssi_buf_adds(&want, "\n");
	check(text.data, "", want.data);
}

static void mistakes_are_bounded(void **state)
{
	_cleanup_buf_ struct ssi_buf text = SSI_BUF_INIT, err = SSI_BUF_INIT;
	struct ssi_conf_errors errors = { .to = &err };
	static const struct ssi_conf_ops ops = { .entry = said_entry };

	for (int i = 0; i < SSI_CONF_ERRORS_MAX + 7; i++)
		ssi_buf_adds(&text, "x\n");
	assert_int_equal(ssi_conf_parse("f", text.data, text.len, sections, &ops, NULL, &errors), 0);
	assert_int_equal(ssi_conf_errors_end(&errors), -EINVAL);
	assert_non_null(strstr(err.data, "\nand 7 mistakes more\n"));
	assert_null(strstr(err.data, "f:1001:"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_texts),
		cmocka_unit_test(broken_structure),
		cmocka_unit_test(broken_values),
		cmocka_unit_test(broken_text),
		cmocka_unit_test(message_keeps_whole_characters),
		cmocka_unit_test(mistakes_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
