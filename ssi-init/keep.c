/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Binds the initramfs to KEEP_DIR and starts programs by its dynamic linker (ld.so(8): --library-path, --argv0), which finds libraries there first and in the
 * image after that; nothing of it is inherited by what such a program starts, as an environment would be. Used by switch.c and supervise.c.
 */
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include "ssi-init/keep.h"

static char keep_linker[128], keep_libraries[128], keep_program[128];

/* PT_INTERP of the first object, which is this program. */
static int keep_interpreter(struct dl_phdr_info *info, size_t size, void *userdata)
{
	for (int i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_INTERP)
			snprintf(keep_linker, sizeof(keep_linker), "%s%s", KEEP_DIR, (const char *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr));
	return 1;
}

void keep_open(void)
{
	Dl_info libc;
	char *slash;

	dl_iterate_phdr(keep_interpreter, NULL);
	if (!dladdr((void *)(uintptr_t)getpid, &libc) || !libc.dli_fname)
		return;
	snprintf(keep_libraries, sizeof(keep_libraries), "%s%s", KEEP_DIR, libc.dli_fname);
	slash = strrchr(keep_libraries, '/');
	*slash = '\0';
	if ((mkdir(KEEP_DIR, 0700) < 0 && errno != EEXIST) || mount("/", KEEP_DIR, NULL, MS_BIND, NULL) < 0)
		keep_linker[0] = '\0';
}

bool keep_is_open(void)
{
	return keep_linker[0];
}

bool keep_file(const char *name)
{
	static const char *const whole[] = { "ssi-agent", "iscsid", "iscsid.conf", "initiatorname.iscsi", KEEP_EXIT };
	size_t n = strlen(name);

	for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++)
		if (!strcmp(name, whole[i]))
			return true;
	return strstr(name, ".so.") || (n > 3 && !strcmp(name + n - 3, ".so")) || !strncmp(name, "init-", 5);
}

int keep_command(const char *program, char *ret[KEEP_WORDS])
{
	const char *name = strrchr(program, '/');

	if (!keep_linker[0] || !name || access(keep_linker, X_OK) < 0)
		return 0;
	snprintf(keep_program, sizeof(keep_program), "%s%s", KEEP_DIR, program);
	if (access(keep_program, X_OK) < 0)
		snprintf(keep_program, sizeof(keep_program), "%s", program);
	ret[0] = keep_linker;
	ret[1] = (char *)"--library-path";
	ret[2] = keep_libraries;
	ret[3] = (char *)"--argv0";
	ret[4] = (char *)name + 1;
	ret[5] = keep_program;
	return KEEP_WORDS;
}
