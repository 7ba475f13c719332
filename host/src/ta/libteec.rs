//! The transport over libteec: the real secure world.

use optee_teec::{
    ConnectionMethods, Context, ErrorOrigin, Operation, Param, ParamNone, ParamTmpRef, ParamType,
    ParamValue, Session, Uuid, raw,
};

use super::transport::{Failure, Origin, Parameter, Transport};

/// A session with the TA over libteec.
pub struct Teec {
    context: Context,
    session: Option<Session>,
}

impl Teec {
    /// Connects to the secure world.
    ///
    /// # Errors
    /// The client library's code where there is no TEE device or it may not be opened.
    pub fn new() -> Result<Self, Failure> {
        let context = Context::new().map_err(|error| failure(&error))?;
        Ok(Teec {
            context,
            session: None,
        })
    }
}

impl Transport for Teec {
    fn open(&mut self, core: u32) -> Result<(), Failure> {
        self.session = None;
        let id = ParamValue::new(core, 0, ParamType::ValueInput);
        let mut operation = Operation::new(0, id, ParamNone, ParamNone, ParamNone);
        let session = Session::new(
            &mut self.context,
            Uuid::from_bytes(ta_protocol::TA_UUID.bytes()),
            ConnectionMethods::LoginPublic,
            Some(&mut operation),
        );
        self.session = Some(session.map_err(|error| failure(&error))?);
        Ok(())
    }

    fn invoke(&mut self, command: u32, parameters: &mut [Parameter<'_>; 4]) -> Result<(), Failure> {
        let Some(session) = &mut self.session else {
            return Err(NO_SESSION);
        };
        let (code, outputs) = {
            let [p0, p1, p2, p3] = parameters.each_mut().map(Slot::from);
            let mut operation = Operation::new(0, p0, p1, p2, p3);
            let code = session.invoke_command(command, &mut operation);
            let (p0, p1, p2, p3) = operation.parameters();
            (code, [p0, p1, p2, p3].map(|slot| slot.output()))
        };
        for (parameter, output) in parameters.iter_mut().zip(outputs) {
            store(parameter, output);
        }
        code.map_err(|error| failure(&error))
    }

    fn close(&mut self) {
        self.session = None;
    }
}

const NO_SESSION: Failure = Failure {
    code: raw::TEEC_ERROR_BAD_STATE,
    origin: Origin::Api,
};

/// One parameter whose kind is only known at run time; the binding wants a type per kind.
enum Slot<'a> {
    None(ParamNone),
    Value(ParamValue),
    Memory(ParamTmpRef<'a>),
}

/// What the secure world wrote back.
enum Output {
    Nothing,
    Value { a: u32, b: u32 },
    Memory { used: usize },
}

impl Slot<'_> {
    fn output(&self) -> Output {
        match self {
            Slot::None(_) => Output::Nothing,
            Slot::Value(value) => Output::Value {
                a: value.a(),
                b: value.b(),
            },
            Slot::Memory(memory) => Output::Memory {
                used: memory.updated_size(),
            },
        }
    }
}

impl<'a, 'b: 'a> From<&'a mut Parameter<'b>> for Slot<'a> {
    fn from(parameter: &'a mut Parameter<'b>) -> Self {
        match parameter {
            Parameter::None => Slot::None(ParamNone),
            Parameter::ValueInput { a, b } => {
                Slot::Value(ParamValue::new(*a, *b, ParamType::ValueInput))
            }
            Parameter::ValueOutput { .. } => {
                Slot::Value(ParamValue::new(0, 0, ParamType::ValueOutput))
            }
            Parameter::MemoryInput(bytes) => Slot::Memory(ParamTmpRef::new_input(bytes)),
            Parameter::MemoryOutput { buffer, .. } => Slot::Memory(ParamTmpRef::new_output(buffer)),
        }
    }
}

impl Param for Slot<'_> {
    fn to_raw(&mut self) -> raw::TEEC_Parameter {
        match self {
            Slot::None(none) => none.to_raw(),
            Slot::Value(value) => value.to_raw(),
            Slot::Memory(memory) => memory.to_raw(),
        }
    }

    fn param_type(&self) -> ParamType {
        match self {
            Slot::None(none) => none.param_type(),
            Slot::Value(value) => value.param_type(),
            Slot::Memory(memory) => memory.param_type(),
        }
    }

    fn from_raw(raw: raw::TEEC_Parameter, param_type: ParamType) -> Self {
        match param_type {
            ParamType::ValueInput | ParamType::ValueOutput | ParamType::ValueInout => {
                Slot::Value(ParamValue::from_raw(raw, param_type))
            }
            ParamType::MemrefTempInput
            | ParamType::MemrefTempOutput
            | ParamType::MemrefTempInout => Slot::Memory(ParamTmpRef::from_raw(raw, param_type)),
            _ => Slot::None(ParamNone::from_raw(raw, param_type)),
        }
    }
}

fn store(parameter: &mut Parameter<'_>, output: Output) {
    match (parameter, output) {
        (Parameter::ValueOutput { a, b }, Output::Value { a: low, b: high }) => {
            (*a, *b) = (low, high);
        }
        (Parameter::MemoryOutput { used, .. }, Output::Memory { used: size }) => *used = size,
        _ => {}
    }
}

fn failure(error: &optee_teec::Error) -> Failure {
    let origin = match error.origin() {
        Some(ErrorOrigin::COMMS) => Origin::Communication,
        Some(ErrorOrigin::TEE) => Origin::Tee,
        Some(ErrorOrigin::TA) => Origin::TrustedApplication,
        Some(ErrorOrigin::API | ErrorOrigin::UNKNOWN) | None => Origin::Api,
    };
    Failure {
        code: error.raw_code(),
        origin,
    }
}
