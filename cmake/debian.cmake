# SPDX-License-Identifier: Apache-2.0
#
# What Debian's policy asks of a package's documentation and CPack does not know of. Run by cpack before it packs.

if(CPACK_GENERATOR STREQUAL "DEB")
  set(all "${CPACK_TEMPORARY_DIRECTORY}/${CPACK_PACKAGING_INSTALL_PREFIX}/share/doc")
  set(own "${all}/${CPACK_DEBIAN_PACKAGE_NAME}")
  file(RENAME "${all}/${CPACK_PACKAGE_NAME}" "${own}")
  file(REMOVE "${own}/LICENSE")
  file(WRITE "${own}/copyright"
    "Copyright: the authors of ${CPACK_PACKAGE_VENDOR}\n"
    "License: Apache-2.0, the text of which is in /usr/share/common-licenses/Apache-2.0\n")
  file(RENAME "${own}/CHANGELOG.md" "${own}/changelog")
  execute_process(COMMAND gzip -9n "${own}/changelog" COMMAND_ERROR_IS_FATAL ANY)
endif()
