/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ssi-init/hostkey and identity: always the same of the same 32 bytes, of a form that ssh-keygen reads, and laid into a root where it is another. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/file.h"
#include "libssi/base/spawn.h"
#include "ssi-init/hostkey.h"
#include "ssi-init/identity.h"

static const uint8_t n02[HOSTKEY_IDENTITY] = { 2, 7, 1, 8, 2, 8 }, n03[HOSTKEY_IDENTITY] = { 3, 1, 4, 1, 5, 9 };

static void the_same_always(void **state)
{
	_cleanup_buf_ struct ssi_buf a = SSI_BUF_INIT, b = SSI_BUF_INIT, c = SSI_BUF_INIT, secret = SSI_BUF_INIT, public = SSI_BUF_INIT, again = SSI_BUF_INIT,
		public_again = SSI_BUF_INIT, other = SSI_BUF_INIT, public_other = SSI_BUF_INIT;

	assert_int_equal(hostkey_machine_id(n02, &a), 0);
	assert_int_equal(hostkey_machine_id(n02, &b), 0);
	assert_int_equal(hostkey_machine_id(n03, &c), 0);
	assert_string_equal(a.data, b.data);
	assert_string_not_equal(a.data, c.data);
	assert_int_equal(strlen(a.data), 33);
	assert_int_equal(strspn(a.data, "0123456789abcdef"), 32);
	assert_int_equal(a.data[12], '4');                   /* a random UUID's version and variant */
	assert_non_null(strchr("89ab", a.data[16]));
	assert_int_equal(hostkey_ssh(n02, "n02", &secret, &public, NULL), 0);
	assert_int_equal(hostkey_ssh(n02, "n02", &again, &public_again, NULL), 0);
	assert_int_equal(hostkey_ssh(n03, "n02", &other, &public_other, NULL), 0);
	assert_string_equal(secret.data, again.data);
	assert_string_equal(public.data, public_again.data);
	assert_string_not_equal(secret.data, other.data);
	assert_string_not_equal(public.data, public_other.data);
	assert_memory_equal(public.data, "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI", 37);
}

static void write_all(const char *dir, const uint8_t identity[HOSTKEY_IDENTITY])
{
	_cleanup_buf_ struct ssi_buf id = SSI_BUF_INIT, secret = SSI_BUF_INIT, public = SSI_BUF_INIT;
	char path[256];

	assert_int_equal(hostkey_machine_id(identity, &id), 0);
	assert_int_equal(hostkey_ssh(identity, "n02", &secret, &public, NULL), 0);
	snprintf(path, sizeof(path), "%s/" IDENTITY_MACHINE_ID, dir);
	assert_true(ssi_file_write_atomic(path, id.data, id.len, 0444) >= 0);
	snprintf(path, sizeof(path), "%s/" IDENTITY_SSH, dir);
	assert_true(ssi_file_write_atomic(path, secret.data, secret.len, 0600) >= 0);
	snprintf(path, sizeof(path), "%s/" IDENTITY_SSH ".pub", dir);
	assert_true(ssi_file_write_atomic(path, public.data, public.len, 0644) >= 0);
}

static void make_folders(char from[64], char to[64])
{
	strcpy(from, "/tmp/ssi-identity-XXXXXX");
	assert_non_null(mkdtemp(from));
	snprintf(to, 64, "%s/root", from);
	assert_int_equal(mkdir(to, 0755), 0);
}

static void remove_folders(const char *from)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", from);
	assert_int_equal(system(command), 0);
}

/* ssh-keygen makes the public key of our secret one: the same as ours. */
static void ssh_reads_it(void **state)
{
	_cleanup_free_ char *got = NULL, *want = NULL;
	char from[64], to[64], command[256], path[128];

	if (!ssi_spawn_which("ssh-keygen")) {
		print_message("no ssh-keygen here\n");
		skip();
	}
	make_folders(from, to);
	write_all(from, n02);
	snprintf(command, sizeof(command), "ssh-keygen -y -f %s/" IDENTITY_SSH " >%s/got", from, from);
	assert_int_equal(system(command), 0);
	snprintf(path, sizeof(path), "%s/got", from);
	assert_int_equal(ssi_file_read(path, 4096, &got, NULL), 0);
	snprintf(path, sizeof(path), "%s/" IDENTITY_SSH ".pub", from);
	assert_int_equal(ssi_file_read(path, 4096, &want, NULL), 0);
	assert_string_equal(got, want);
	remove_folders(from);
}

static void laid(void **state)
{
	char from[64], to[64], path[128];
	_cleanup_free_ char *text = NULL;
	struct stat first, second;

	make_folders(from, to);
	/* A machine that boots from its own disk. */
	assert_int_equal(identity_lay("/nonexistent", to, NULL), 0);
	write_all(from, n02);
	snprintf(path, sizeof(path), "%s/etc", to);
	assert_int_equal(mkdir(path, 0755), 0);
	/* The image's is empty; another node's would be replaced as well. */
	snprintf(path, sizeof(path), "%s/etc/machine-id", to);
	assert_true(ssi_file_write_atomic(path, "", 0, 0444) >= 0);
	assert_int_equal(identity_lay(from, to, NULL), 0);
	assert_int_equal(ssi_file_read(path, 64, &text, NULL), 0);
	assert_int_equal(strlen(text), 33);
	snprintf(path, sizeof(path), "%s/etc/ssh/ssh_host_ed25519_key", to);
	assert_int_equal(stat(path, &first), 0);
	assert_int_equal(first.st_mode & 07777, 0600);
	/* Again: nothing is written. */
	assert_int_equal(identity_lay(from, to, NULL), 0);
	assert_int_equal(stat(path, &second), 0);
	assert_int_equal(first.st_ino, second.st_ino);
	write_all(from, n03);
	assert_int_equal(identity_lay(from, to, NULL), 0);
	assert_int_equal(stat(path, &second), 0);
	assert_int_not_equal(first.st_ino, second.st_ino);
	remove_folders(from);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(the_same_always), cmocka_unit_test(ssh_reads_it), cmocka_unit_test(laid) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
