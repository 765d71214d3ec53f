//! The part of protoc's command line that prost-build uses, answered by protox:
//! `protoc --include_imports --include_source_info -o OUT -I DIR… FILE…` writes a FileDescriptorSet to OUT.

use std::path::PathBuf;
use std::process::ExitCode;

use prost::Message;

struct Request {
    includes: Vec<PathBuf>,
    files: Vec<PathBuf>,
    output: PathBuf,
}

fn main() -> ExitCode {
    match parse(std::env::args().skip(1)).and_then(compile) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("protoc (protox): {message}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<Request, String> {
    let (mut includes, mut files, mut output) = (Vec::new(), Vec::new(), None);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
        match arg.as_str() {
            "--include_imports" | "--include_source_info" | "--experimental_allow_proto3_optional" => {}
            "-I" => includes.push(value()?.into()),
            "-o" => output = Some(value()?.into()),
            _ if arg.starts_with('-') => return Err(format!("option {arg} is not supported")),
            _ => files.push(arg.into()),
        }
    }
    Ok(Request { includes, files, output: output.ok_or("-o is missing")? })
}

fn compile(request: Request) -> Result<(), String> {
    let descriptors = protox::compile(&request.files, &request.includes).map_err(|error| format!("{error:?}"))?;
    std::fs::write(&request.output, descriptors.encode_to_vec())
        .map_err(|error| format!("could not write {}: {error}", request.output.display()))
}
