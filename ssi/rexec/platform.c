/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns which programs a machine executes. Called by pack before anything is sent, by unpack once it came, and by the agent for its inventory. */
#include <elf.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#ifdef __x86_64__
#include <cpuid.h>
#endif
#include "ssi/rexec/platform.h"

static const struct { uint16_t machine; const char *name; } platform_names[] = {
	{ EM_X86_64, "x86_64" }, { EM_386, "i386" }, { EM_386, "i486" }, { EM_386, "i586" }, { EM_386, "i686" },
	{ EM_AARCH64, "aarch64" }, { EM_ARM, "arm" }, { EM_ARM, "armv6l" }, { EM_ARM, "armv7l" }, { EM_ARM, "armv8l" },
	{ EM_RISCV, "riscv64" }, { EM_PPC64, "ppc64le" }, { EM_PPC64, "ppc64" }, { EM_PPC, "ppc" }, { EM_S390, "s390x" },
	{ EM_MIPS, "mips64" }, { EM_MIPS, "mips" }, { EM_SPARCV9, "sparc64" }, { 258, "loongarch64" },
};

const char *ssi_platform_name(uint16_t machine)
{
	for (size_t i = 0; i < sizeof(platform_names) / sizeof(*platform_names); i++)
		if (platform_names[i].machine == machine)
			return platform_names[i].name;
	return "an unknown architecture";
}

uint16_t ssi_platform_machine(const char *arch)
{
	for (size_t i = 0; i < sizeof(platform_names) / sizeof(*platform_names); i++)
		if (!strcmp(platform_names[i].name, arch))
			return platform_names[i].machine;
	return 0;
}

bool ssi_platform_runs(const char *arch, uint16_t machine)
{
	uint16_t own = ssi_platform_machine(arch);

	return own && (own == machine || (own == EM_X86_64 && machine == EM_386));
}

#ifdef __x86_64__
/* What the levels ask for, by register of cpuid; AVX state that the kernel does not save (xgetbv) counts as none. */
#define V2_C1 (1u << 0 | 1u << 9 | 1u << 13 | 1u << 19 | 1u << 20 | 1u << 23)                   /* SSE3 SSSE3 CX16 SSE4.1 SSE4.2 POPCNT */
#define V3_C1 (1u << 12 | 1u << 22 | 1u << 27 | 1u << 28 | 1u << 29)                            /* FMA MOVBE OSXSAVE AVX F16C */
#define V3_B7 (1u << 3 | 1u << 5 | 1u << 8)                                                     /* BMI1 AVX2 BMI2 */
#define V4_B7 (1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31)                            /* AVX512 F DQ CD BW VL */
#define LAHF 1u
#define LZCNT (1u << 5)

static unsigned platform_saved(void)
{
	unsigned low, high;

	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	(void)high;
	return low;
}

static unsigned platform_level(void)
{
	unsigned a, b, c1 = 0, d, b7 = 0, x = 0, unused, saved;

	if (!__get_cpuid(1, &a, &b, &c1, &d))
		return 1;
	__get_cpuid_count(7, 0, &a, &b7, &unused, &d);
	__get_cpuid(0x80000001, &a, &b, &x, &d);
	if ((c1 & V2_C1) != V2_C1 || !(x & LAHF))
		return 1;
	if ((c1 & V3_C1) != V3_C1 || (b7 & V3_B7) != V3_B7 || !(x & LZCNT))
		return 2;
	saved = platform_saved();
	if ((saved & 6) != 6)
		return 2;
	return (b7 & V4_B7) == V4_B7 && (saved & 0xe6) == 0xe6 ? 4 : 3;
}
#else
static unsigned platform_level(void)
{
	return 0;
}
#endif

/* Asked for once: in a virtual machine each cpuid is the hypervisor's to answer, some 10 us. */
unsigned ssi_platform_level(void)
{
	static bool known;
	static unsigned level;

	if (!known)
		level = platform_level();
	known = true;
	return level;
}

int ssi_platform_check(const char *name, uint16_t machine, unsigned level, const char *where, const char *arch, unsigned has, struct ssi_err *e)
{
	if (!ssi_platform_runs(arch, machine))
		return ssi_errf(e, -ENOEXEC, "%s is a program for %s, and %s is %s: build it for that, or choose another node", name, ssi_platform_name(machine),
			where, arch);
	if (level && has && level > has)
		return ssi_errf(e, -ENOEXEC, "%s asks for x86-64-v%u, and %s has x86-64-v%u: build it for that level, or choose another node", name, level,
			where, has);
	return 0;
}
