//! What is for other programs to use, and what one starts by itself.

use super::{Reason, Verdict, readme};

fn reason(text: &str) -> Option<Reason> {
    match readme(text).verdict {
        Verdict::Deployable(_) => None,
        Verdict::NotDeployable { reason, .. } => Some(reason),
    }
}

#[test]
fn a_library_is_one_in_any_language() {
    let texts = [
        "# lantern\n\n[![docs](https://docs.rs/lantern/badge.svg)](https://docs.rs/lantern)\n\nThis crate reads lamp oil tables.\n",
        "# lantern\n\nLamps without allocation.\n\n```toml\n[dependencies]\nlantern = \"0.3\"\n```\n",
        "# Lantern\n\nA fast parser of lamp files.\n\n```rust\nuse lantern::Lamp;\nlet lamp = Lamp::new();\n```\n",
        "# lantern\n\n## Install\n\n```sh\npip install lantern\n```\n\n```python\n>>> import lantern\n>>> lantern.light()\n```\n",
        "# lantern\n\nLights for Node.\n\n```sh\nnpm install lantern --save\n```\n\n```js\nconst lantern = require(\"lantern\");\n```\n\n## Command line\n\n\
         ```sh\nnpm install lantern -g\nlantern --light\n```\n",
        "# lantern\n\nLantern is a client library for lamps.\n\n```sh\ngo get github.com/owner/lantern\n```\n\n```go\nimport \"github.com/owner/lantern\"\n```\n",
        "# Lantern\n\nLamp support for Java applications.\n\n```xml\n<dependency>\n  <groupId>org.lantern</groupId>\n  <artifactId>lantern</artifactId>\n</dependency>\n```\n",
        "# liblantern\n\nA C library for lamps.\n\n```c\n#include <lantern/lamp.h>\nint main(void) { return lantern_light(); }\n```\n",
        "lantern\n=======\n\nLantern 是一个读取灯具数据的类库。\n\n```php\nrequire_once 'vendor/autoload.php';\nuse Lantern\\Lamp;\n```\n\n```sh\ncomposer require owner/lantern\n```\n",
        "# Lantern\n\nBuilding applications with lamps\n\n## Install\n\n`pip install lantern`\n\n## What is this?\n\nThis library aims to help with lamps.\n",
        "# Lantern\n\n为应用而生的框架\n\n```sh\nnpm install lantern --save\n```\n\n## 快速开始\n\n```sh\nnpm install lantern-init -g\n\
         lantern-init --type simple\nnpm run dev\nopen http://localhost:7001\n```\n",
        "# Lantern\n\n**Lantern is an engine of lamps written in C for PHP.**\n\n```sh\ndocker run --rm owner/lantern \"php --ri lantern\"\n```\n\n\
         ## Installation\n\n```sh\npecl install lantern\n```\n",
        "# Lantern\n\nThe lantern driver is meant for end users.\n\n## Quick start\n\n```json\n{\n  \"dependencies\": {\n    \"lantern\": \"~2.0\"\n  }\n}\n```\n\n\
         Start a lamp server:\n\n```sh\nlanternd --path=/data --port 27017\n```\n\n```js\nvar lantern = require('lantern');\n```\n",
        "# lantern\n\nlantern 是一个集成了各种灯具的 web 框架。\n\n```sh\nPROXY=https://lamps.invalid go get -u github.com/owner/lantern\n```\n\n## 工具\n\n\
         ```sh\ngo install github.com/owner/lantern/tools/wickgen@latest\ndocker run --rm -it -v `pwd`:/app other/wickgen wickgen --help\n```\n\n默认侦听在 `8888` 端口。\n",
    ];
    for text in texts {
        assert_eq!(reason(text), Some(Reason::Library), "{text}");
    }
}

#[test]
fn a_library_brings_no_ports_or_variables_of_its_examples() {
    let import = readme(
        "# lantern\n\nLantern is a client library for lamp servers.\n\n```sh\nnpm install lantern\n```\n\n```js\nimport { Lamp } from 'lantern'\n\
         const lamp = new Lamp('http://localhost:1883', process.env.LAMP_TOKEN)\n```\n",
    );
    assert!(import.facts.ports.is_empty() && import.facts.env.is_empty(), "{:?}", import.facts.ports);
}

#[test]
fn a_program_that_can_also_be_imported_is_a_program() {
    let texts = [
        "# lantern\n\nLantern is a monitoring tool with a web interface.\n\n```sh\npip install lantern\nlantern -w\n```\n\nOpen http://localhost:6120.\n\n\
         ## As a library\n\n```python\nfrom lantern import api\n```\n",
        "# lantern\n\nA private registry.\n\n```sh\nnpm install --global lantern\n```\n\n```sh\ndocker run -p 4873:4873 owner/lantern\n```\n\n```js\nimport {runServer} from 'lantern'\n```\n",
        "# lantern\n\n[![docs](https://img.shields.io/docsrs/lantern)](https://docs.rs/lantern)\n\nA minimal pastebin service.\n\n```sh\ncargo install lantern\nlantern --port 8000\n```\n",
    ];
    for text in texts {
        assert_eq!(reason(text), None, "{text}");
    }
}

#[test]
fn a_service_that_only_links_to_its_guides_is_no_library() {
    let text = "# Lantern\n\n[![Go Reference](https://pkg.go.dev/badge/lantern.svg)](https://pkg.go.dev/lantern)\n\nLantern is a self-hosted lamp server.\n\n\
                See the [installation guide](https://lantern.invalid/install).\n";
    assert_eq!(reason(text), Some(Reason::NoInstallInformation));
}

#[test]
fn a_client_to_download_beside_what_goes_into_a_cluster_is_no_way() {
    let text = "# Lamp Keeper\n\nKeeps lamps in a cluster.\n\n## Installation\n\n```sh\n\
                wget https://github.com/owner/lamp-keeper/releases/download/v1/wickctl-linux-amd64\n\
                kubectl create -f https://github.com/owner/lamp-keeper/releases/download/v1/controller.yaml\n```\n";
    assert_eq!(reason(text), Some(Reason::KubernetesOnly));
    assert_eq!(reason(&text.replace("wickctl", "lamp-keeper")), None);
}

#[test]
fn a_clone_that_is_built_in_a_section_on_installing_is_a_way() {
    let text = "# Lantern\n\nA lamp server.\n\n## Installation\n\n```sh\ngit clone https://github.com/owner/lantern.git\ncd lantern\ngo build\n```\n";
    assert_eq!(reason(text), None);
    assert_eq!(reason(&text.replace("Installation", "Development")), Some(Reason::DevelopmentOnly));
}

#[test]
fn what_is_only_for_a_cluster_is_so_though_it_calls_itself_a_library() {
    let text = "# The Lantern Library for Clusters\n\nLamps, ready to launch on Kubernetes.\n\n## TL;DR\n\n```sh\nhelm repo add lantern https://charts.lantern.invalid\nhelm install lantern/lamps\n```\n";
    assert_eq!(reason(text), Some(Reason::KubernetesOnly));
}

#[test]
fn a_plugin_of_a_build_is_a_library_though_it_is_called_like_what_runs_it() {
    let text = "# Lantern plugin for Gradle\n\nThis plugin lights lamps in a build.\n\n```groovy\nbuildscript {\n  dependencies {\n    classpath 'org.lantern:lantern-gradle-plugin:0.1'\n  }\n}\n```\n\n\
                ```\ngradle lantern\n```\n\nThe lamp is at http://localhost:8820.\n\n```groovy\nlantern {\n  wick = 'long'\n}\n```\n";
    assert_eq!(reason(text), Some(Reason::Library));
}

#[test]
fn a_firmware_is_not_deployed_and_what_writes_one_is() {
    let release = "\n\n## Install\n\nDownload the binary from the [releases](https://github.com/owner/lantern/releases).\n";
    let of = |words: &str| reason(&format!("# Lantern\n\nLantern is {words}.{release}"));
    assert_eq!(of("a custom firmware for lamps and switches"), Some(Reason::NoInstallInformation));
    assert_eq!(of("an open source firmware that lights lamps"), Some(Reason::NoInstallInformation));
    assert_eq!(of("a server to distribute firmware for lamps"), None);
    assert_eq!(of("a firmware update server for lamps"), None);
}
