// As gdk-pixbuf-query-loaders 2.42, gtk-query-immodules-3.0 and -2.0 print them for the modules of Debian 12:
// name, flags, domain, description, license; MIME types; suffixes; patterns with masks and weights. Input
// methods: id, name, domain, directory of translations, locales.
#include "action/finish_modules_parts.hpp"

#include <array>

namespace orch::action {

namespace {

struct Known {
  std::string_view file;
  std::string_view
      entry;  // "@" stands for the toolkit's domain, "%" for its translations (GTK 2 has none there)
};

constexpr std::array k_known = {
    Known{"libpixbufloader-ani.so", R"("ani" 4 "gdk-pixbuf" "Windows animated cursor" "LGPL"
"application/x-navi-animation" ""
"ani" ""
"RIFF    ACON" "    xxxx    " 100
)"},
    Known{"libpixbufloader-avif.so", R"("avif" 5 "gdk-pixbuf" "AV1 Image File Format" "BSD"
"image/avif" ""
"avif" ""
"    ftypavif" "zzz         " 100
)"},
    Known{"libpixbufloader-bmp.so", R"("bmp" 5 "gdk-pixbuf" "BMP" "LGPL"
"image/bmp" "image/x-bmp" "image/x-MS-bmp" ""
"bmp" ""
"BM" "" 100
)"},
    Known{"libpixbufloader-gif.so", R"("gif" 4 "gdk-pixbuf" "GIF" "LGPL"
"image/gif" ""
"gif" ""
"GIF8" "" 100
)"},
    Known{"libpixbufloader-heif.so", R"("heif/avif" 4 "pixbufloader-heif" "HEIF/AVIF Image" "LGPL3"
"image/heif" "image/heic" "image/avif" ""
"heif" "heic" "avif" ""
"    ftyp" "xxxx    " 100
)"},
    Known{"libpixbufloader-icns.so", R"("icns" 4 "gdk-pixbuf" "MacOS X icon" "GPL"
"image/x-icns" ""
"icns" ""
"icns" "" 100
)"},
    Known{"libpixbufloader-ico.so", R"("ico" 5 "gdk-pixbuf" "Windows icon" "LGPL"
"image/x-icon" "image/x-ico" "image/x-win-bitmap" "image/vnd.microsoft.icon" "application/ico" "image/ico" "image/icon" "text/ico" ""
"ico" "cur" ""
"  \001   " "zz znz" 100
"  \002   " "zz znz" 100
)"},
    Known{"libpixbufloader-pnm.so", R"("pnm" 4 "gdk-pixbuf" "PNM/PBM/PGM/PPM" "LGPL"
"image/x-portable-anymap" "image/x-portable-bitmap" "image/x-portable-graymap" "image/x-portable-pixmap" ""
"pnm" "pbm" "pgm" "ppm" ""
"P1" "" 100
"P2" "" 100
"P3" "" 100
"P4" "" 100
"P5" "" 100
"P6" "" 100
)"},
    Known{"libpixbufloader-qtif.so", R"("qtif" 4 "gdk-pixbuf" "QuickTime" "LGPL"
"image/x-quicktime" "image/qtif" ""
"qtif" "qif" ""
"abcdidsc" "xxxx    " 100
"abcdidat" "xxxx    " 100
)"},
    Known{"libpixbufloader-svg.so", R"("svg" 6 "gdk-pixbuf" "Scalable Vector Graphics" "LGPL"
"image/svg+xml" "image/svg" "image/svg-xml" "image/vnd.adobe.svg+xml" "text/xml-svg" "image/svg+xml-compressed" ""
"svg" "svgz" "svg.gz" ""
" <svg" "*    " 100
" <!DOCTYPE svg" "*             " 100
)"},
    Known{"libpixbufloader-tga.so", R"("tga" 4 "gdk-pixbuf" "Targa" "LGPL"
"image/x-tga" ""
"tga" "targa" ""
" \001\001" "x  " 100
" \001\t" "x  " 100
"  \002" "xz " 99
"  \003" "xz " 100
"  \n" "xz " 100
"  \v" "xz " 100
)"},
    Known{"libpixbufloader-tiff.so", R"("tiff" 5 "gdk-pixbuf" "TIFF" "LGPL"
"image/tiff" ""
"tiff" "tif" ""
"MM *" "  z " 100
"II* " "   z" 100
"II* \020   CR\002 " "   z zzz   z" 0
)"},
    Known{"libpixbufloader-webp.so", R"("webp" 5 "gdk-pixbuf" "The WebP image format" "LGPL"
"image/webp" "audio/x-riff" ""
"webp" ""
"RIFFsizeWEBP" "    xxxx    " 100
)"},
    Known{"libpixbufloader-xbm.so", R"("xbm" 4 "gdk-pixbuf" "XBM" "LGPL"
"image/x-xbitmap" ""
"xbm" ""
"#define " "" 100
"/*" "" 50
)"},
    Known{"libpixbufloader-xpm.so", R"("xpm" 4 "gdk-pixbuf" "XPM" "LGPL"
"image/x-xpixmap" ""
"xpm" ""
"/* XPM */" "" 100
)"},
    Known{"im-am-et.so", "\"am_et\" \"Amharic (EZ+)\" \"@\" \"/usr/share/locale\" \"am\"\n"},
    Known{"im-broadway.so", "\"broadway\" \"Broadway\" \"@\" \"/usr/share/locale\" \"\"\n"},
    Known{"im-cedilla.so",
          "\"cedilla\" \"Cedilla\" \"@\" \"/usr/share/locale\" \"az:ca:co:fr:gv:oc:pt:sq:tr:wa\"\n"},
    Known{"im-cyrillic-translit.so",
          "\"cyrillic_translit\" \"Cyrillic (Transliterated)\" \"@\" \"/usr/share/locale\" \"\"\n"},
    Known{"im-fcitx.so",
          "\"fcitx\" \"Fcitx (Flexible Input Method Framework)\" \"fcitx\" \"/usr/share/locale\" "
          "\"ja:ko:zh:*\"\n"},
    Known{
        "im-fcitx5.so",
        "\"fcitx\" \"Fcitx5 (Flexible Input Method Framework5)\" \"fcitx5\" \"/usr/locale\" \"ja:ko:zh:*\"\n"
        "\"fcitx5\" \"Fcitx5 (Flexible Input Method Framework5)\" \"fcitx5\" \"/usr/locale\" "
        "\"ja:ko:zh:*\"\n"},
    Known{"im-hime.so", "\"hime\" \"hime Input Method\" \"hime\" \"/usr/share/locale\" \"zh:ja\"\n"},
    Known{"im-ibus.so", "\"ibus\" \"IBus (Intelligent Input Bus)\" \"ibus\" \"\" \"ja:ko:zh:*\"\n"},
    Known{"im-inuktitut.so",
          "\"inuktitut\" \"Inuktitut (Transliterated)\" \"@\" \"/usr/share/locale\" \"iu\"\n"},
    Known{"im-ipa.so", "\"ipa\" \"IPA\" \"@\" \"/usr/share/locale\" \"\"\n"},
    Known{"im-multipress.so", "\"multipress\" \"Multipress\" \"@\" \"%\" \"\"\n"},
    Known{"im-scim.so", "\"scim\" \"SCIM Input Method\" \"\" \"\" \"\"\n"},
    Known{"im-thai.so", "\"thai\" \"Thai-Lao\" \"@\" \"/usr/share/locale\" \"lo:th\"\n"},
    Known{"im-ti-er.so", "\"ti_er\" \"Tigrigna-Eritrean (EZ+)\" \"@\" \"/usr/share/locale\" \"ti\"\n"},
    Known{"im-ti-et.so", "\"ti_et\" \"Tigrigna-Ethiopian (EZ+)\" \"@\" \"/usr/share/locale\" \"ti\"\n"},
    Known{"im-uim.so", "\"uim\" \"uim\" \"uim\" \"/usr/share/locale\" \"ja:ko:zh:*\"\n"},
    Known{"im-viqr.so", "\"viqr\" \"Vietnamese (VIQR)\" \"@\" \"/usr/share/locale\" \"\"\n"},
    Known{"im-wayland.so", "\"wayland\" \"Wayland\" \"@\" \"/usr/share/locale\" \"\"\n"},
    Known{"im-xim.so", "\"xim\" \"X Input Method\" \"@\" \"/usr/share/locale\" \"ko:ja:th:zh\"\n"},
};

}  // namespace

std::string known_module(std::string_view file, std::string_view domain) {
  const auto put = [](std::string& entry, std::string_view mark, std::string_view text) {
    if (const std::size_t at = entry.find(mark); at != std::string::npos) entry.replace(at + 1, 1, text);
  };
  for (const Known& known : k_known) {
    if (known.file != file) continue;
    std::string entry(known.entry);
    put(entry, "\"@\"", domain);
    put(entry, "\"%\"", domain == "gtk20" ? "" : "/usr/share/locale");
    return entry;
  }
  return {};
}

}  // namespace orch::action
