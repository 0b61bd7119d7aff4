"use strict";var At=Object.create;var P=Object.defineProperty;var Lt=Object.getOwnPropertyDescriptor;var bt=Object.getOwnPropertyNames;var _t=Object.getPrototypeOf,It=Object.prototype.hasOwnProperty;var T=(e,t)=>()=>{try{return t||e((t={exports:{}}).exports,t),t.exports}catch(n){throw t=0,n}},Dt=(e,t)=>{for(var n in t)P(e,n,{get:t[n],enumerable:!0})},ue=(e,t,n,r)=>{if(t&&typeof t=="object"||typeof t=="function")for(let o of bt(t))!It.call(e,o)&&o!==n&&P(e,o,{get:()=>t[o],enumerable:!(r=Lt(t,o))||r.enumerable});return e};var xt=(e,t,n)=>(n=e!=null?At(_t(e)):{},ue(t||!e||!e.__esModule?P(n,"default",{value:e,enumerable:!0}):n,e)),Ct=e=>ue(P({},"__esModule",{value:!0}),e);var w=T(q=>{"use strict";q.getBooleanOption=(e,t)=>{let n=!1;if(t in e&&typeof(n=e[t])!="boolean")throw new TypeError(`Expected the "${t}" option to be a boolean`);return n};q.cppdb=Symbol();q.inspect=Symbol.for("nodejs.util.inspect.custom")});var Z=T((lr,Te)=>{"use strict";var $=class e extends Error{constructor(t,n){if(typeof n!="string")throw new TypeError("Expected second argument to be a string");super(""+t),this.code=n,typeof Error.captureStackTrace=="function"&&Error.captureStackTrace(this,e)}};Object.defineProperty($.prototype,"name",{value:"SqliteError",writable:!0,enumerable:!1,configurable:!0});Te.exports=$});var me=T(_=>{"use strict";var{cppdb:S}=w();_.prepare=function(t){return this[S].prepare(t,this,!1,!1)};_.exec=function(t){return this[S].exec(t),this};_.close=function(){return this[S].close(),this};_.loadExtension=function(...t){return this[S].loadExtension(...t),this};_.defaultSafeIntegers=function(...t){return this[S].defaultSafeIntegers(...t),this};_.unsafeMode=function(...t){return this[S].unsafeMode(...t),this};_.getters={name:{get:function(){return this[S].name},enumerable:!0},open:{get:function(){return this[S].open},enumerable:!0},inTransaction:{get:function(){return this[S].inTransaction},enumerable:!0},readonly:{get:function(){return this[S].readonly},enumerable:!0},memory:{get:function(){return this[S].memory},enumerable:!0}}});var Ne=T((pr,Re)=>{"use strict";var{cppdb:Ft}=w(),ge=new WeakMap;Re.exports=function(t){if(typeof t!="function")throw new TypeError("Expected first argument to be a function");let n=this[Ft],r=kt(n,this),{apply:o}=Function.prototype,s={default:{value:G(o,t,n,r.default)},deferred:{value:G(o,t,n,r.deferred)},immediate:{value:G(o,t,n,r.immediate)},exclusive:{value:G(o,t,n,r.exclusive)},database:{value:this,enumerable:!0}};return Object.defineProperties(s.default.value,s),Object.defineProperties(s.deferred.value,s),Object.defineProperties(s.immediate.value,s),Object.defineProperties(s.exclusive.value,s),s.default.value};var kt=(e,t)=>{let n=ge.get(e);if(!n){let r={commit:e.prepare("COMMIT",t,!1,!1),rollback:e.prepare("ROLLBACK",t,!1,!1),savepoint:e.prepare("SAVEPOINT `	_bs3.	`",t,!1,!1),release:e.prepare("RELEASE `	_bs3.	`",t,!1,!1),rollbackTo:e.prepare("ROLLBACK TO `	_bs3.	`",t,!1,!1)};ge.set(e,n={default:Object.assign({begin:e.prepare("BEGIN",t,!1,!1)},r),deferred:Object.assign({begin:e.prepare("BEGIN DEFERRED",t,!1,!1)},r),immediate:Object.assign({begin:e.prepare("BEGIN IMMEDIATE",t,!1,!1)},r),exclusive:Object.assign({begin:e.prepare("BEGIN EXCLUSIVE",t,!1,!1)},r)})}return n},G=(e,t,n,{begin:r,commit:o,rollback:s,savepoint:i,release:c,rollbackTo:d})=>function(){let R,p,b;n.inTransaction?(R=i,p=c,b=d):(R=r,p=o,b=s),R.run();try{let O=e.call(t,this,arguments);if(O&&typeof O.then=="function")throw new TypeError("Transaction function cannot return a promise");return p.run(),O}catch(O){throw n.inTransaction&&(b.run(),b!==s&&p.run()),O}}});var ye=T((Tr,Oe)=>{"use strict";var{getBooleanOption:Ut,cppdb:vt}=w();Oe.exports=function(t,n){if(n==null&&(n={}),typeof t!="string")throw new TypeError("Expected first argument to be a string");if(typeof n!="object")throw new TypeError("Expected second argument to be an options object");let r=Ut(n,"simple"),o=this[vt].prepare(`PRAGMA ${t}`,this,!0,!1);return r?o.pluck().get():o.all()}});var we=T((mr,he)=>{"use strict";var{cppdb:Wt}=w();he.exports=function(t){if(typeof t!="string")throw new TypeError("Expected first argument to be a string");return this[Wt].prepare(`EXPLAIN ${t}`,this,!1,!0).all()}});var Le=T((gr,Ae)=>{"use strict";var Bt=require("fs"),Pt=require("path"),{promisify:Ht}=require("util"),{cppdb:qt}=w(),Se=Ht(Bt.access);Ae.exports=async function(t,n){if(n==null&&(n={}),typeof t!="string")throw new TypeError("Expected first argument to be a string");if(typeof n!="object")throw new TypeError("Expected second argument to be an options object");t=t.trim();let r="attached"in n?n.attached:"main",o="progress"in n?n.progress:null;if(!t)throw new TypeError("Backup filename cannot be an empty string");if(t===":memory:")throw new TypeError('Invalid backup filename ":memory:"');if(typeof r!="string")throw new TypeError('Expected the "attached" option to be a string');if(!r)throw new TypeError('The "attached" option cannot be an empty string');if(o!=null&&typeof o!="function")throw new TypeError('Expected the "progress" option to be a function');await Se(Pt.dirname(t)).catch(()=>{throw new TypeError("Cannot save backup because the directory does not exist")});let s=await Se(t).then(()=>!1,()=>!0);return $t(this[qt].backup(this,r,t,s),o||null)};var $t=(e,t)=>{let n=0,r=!0;return new Promise((o,s)=>{setImmediate(function i(){try{let c=e.transfer(n);if(!c.remainingPages){e.close(),o(c);return}if(r&&(r=!1,n=100),t){let d=t(c);if(d!==void 0)if(typeof d=="number"&&d===d)n=Math.max(0,Math.min(2147483647,Math.round(d)));else throw new TypeError("Expected progress callback to return a number or undefined")}setImmediate(i)}catch(c){e.close(),s(c)}})})}});var _e=T((Rr,be)=>{"use strict";var{cppdb:Gt}=w();be.exports=function(t){if(t==null&&(t={}),typeof t!="object")throw new TypeError("Expected first argument to be an options object");let n="attached"in t?t.attached:"main";if(typeof n!="string")throw new TypeError('Expected the "attached" option to be a string');if(!n)throw new TypeError('The "attached" option cannot be an empty string');return this[Gt].serialize(n)}});var De=T((Nr,Ie)=>{"use strict";var{getBooleanOption:j,cppdb:jt}=w();Ie.exports=function(t,n,r){if(n==null&&(n={}),typeof n=="function"&&(r=n,n={}),typeof t!="string")throw new TypeError("Expected first argument to be a string");if(typeof r!="function")throw new TypeError("Expected last argument to be a function");if(typeof n!="object")throw new TypeError("Expected second argument to be an options object");if(!t)throw new TypeError("User-defined function name cannot be an empty string");let o="safeIntegers"in n?+j(n,"safeIntegers"):2,s=j(n,"deterministic"),i=j(n,"directOnly"),c=j(n,"varargs"),d=-1;if(!c){if(d=r.length,!Number.isInteger(d)||d<0)throw new TypeError("Expected function.length to be a positive integer");if(d>100)throw new RangeError("User-defined functions cannot have more than 100 arguments")}return this[jt].function(r,t,d,o,s,i),this}});var Me=T((Or,Ce)=>{"use strict";var{getBooleanOption:Y,cppdb:Yt}=w();Ce.exports=function(t,n){if(typeof t!="string")throw new TypeError("Expected first argument to be a string");if(typeof n!="object"||n===null)throw new TypeError("Expected second argument to be an options object");if(!t)throw new TypeError("User-defined function name cannot be an empty string");let r="start"in n?n.start:null,o=ee(n,"step",!0),s=ee(n,"inverse",!1),i=ee(n,"result",!1),c="safeIntegers"in n?+Y(n,"safeIntegers"):2,d=Y(n,"deterministic"),u=Y(n,"directOnly"),R=Y(n,"varargs"),p=-1;if(!R&&(p=Math.max(xe(o),s?xe(s):0),p>0&&(p-=1),p>100))throw new RangeError("User-defined functions cannot have more than 100 arguments");return this[Yt].aggregate(r,o,s,i,t,p,c,d,u),this};var ee=(e,t,n)=>{let r=t in e?e[t]:null;if(typeof r=="function")return r;if(r!=null)throw new TypeError(`Expected the "${t}" option to be a function`);if(n)throw new TypeError(`Missing required option "${t}"`);return null},xe=({length:e})=>{if(Number.isInteger(e)&&e>=0)return e;throw new TypeError("Expected function.length to be a positive integer")}});var We=T((yr,ve)=>{"use strict";var{cppdb:Vt}=w();ve.exports=function(t,n){if(typeof t!="string")throw new TypeError("Expected first argument to be a string");if(!t)throw new TypeError("Virtual table module name cannot be an empty string");let r=!1;if(typeof n=="object"&&n!==null)r=!0,n=tn(Ue(n,"used",t));else{if(typeof n!="function")throw new TypeError("Expected second argument to be a function or a table definition object");n=Xt(n)}return this[Vt].table(n,t,r),this};function Xt(e){return function(n,r,o,...s){let i={module:n,database:r,table:o},c=Zt.call(e,i,s);if(typeof c!="object"||c===null)throw new TypeError(`Virtual table module "${n}" did not return a table definition object`);return Ue(c,"returned",n)}}function Ue(e,t,n){if(!v.call(e,"rows"))throw new TypeError(`Virtual table module "${n}" ${t} a table definition without a "rows" property`);if(!v.call(e,"columns"))throw new TypeError(`Virtual table module "${n}" ${t} a table definition without a "columns" property`);let r=e.rows;if(typeof r!="function"||Object.getPrototypeOf(r)!==en)throw new TypeError(`Virtual table module "${n}" ${t} a table definition with an invalid "rows" property (should be a generator function)`);let o=e.columns;if(!Array.isArray(o)||!ke(o=[...o]))throw new TypeError(`Virtual table module "${n}" ${t} a table definition with an invalid "columns" property (should be an array of strings)`);if(o.length!==new Set(o).size)throw new TypeError(`Virtual table module "${n}" ${t} a table definition with duplicate column names`);if(!o.length)throw new RangeError(`Virtual table module "${n}" ${t} a table definition with zero columns`);let s;if(v.call(e,"parameters")){if(s=e.parameters,!Array.isArray(s)||!ke(s=[...s]))throw new TypeError(`Virtual table module "${n}" ${t} a table definition with an invalid "parameters" property (should be an array of strings)`)}else s=Qt(r);if(s.length!==new Set(s).size)throw new TypeError(`Virtual table module "${n}" ${t} a table definition with duplicate parameter names`);if(s.length>32)throw new RangeError(`Virtual table module "${n}" ${t} a table definition with more than the maximum number of 32 parameters`);for(let u of s)if(o.includes(u))throw new TypeError(`Virtual table module "${n}" ${t} a table definition with column "${u}" which was ambiguously defined as both a column and parameter`);let i=2;if(v.call(e,"safeIntegers")){let u=e.safeIntegers;if(typeof u!="boolean")throw new TypeError(`Virtual table module "${n}" ${t} a table definition with an invalid "safeIntegers" property (should be a boolean)`);i=+u}let c=!1;if(v.call(e,"directOnly")&&(c=e.directOnly,typeof c!="boolean"))throw new TypeError(`Virtual table module "${n}" ${t} a table definition with an invalid "directOnly" property (should be a boolean)`);return[`CREATE TABLE x(${[...s.map(Fe).map(u=>`${u} HIDDEN`),...o.map(Fe)].join(", ")});`,Kt(r,new Map(o.map((u,R)=>[u,s.length+R])),n),s,i,c]}function Kt(e,t,n){return function*(...o){let s=o.map(i=>Buffer.isBuffer(i)?Buffer.from(i):i);for(let i=0;i<t.size;++i)s.push(null);for(let i of e(...o))if(Array.isArray(i))Jt(i,s,t.size,n),yield s;else if(typeof i=="object"&&i!==null)zt(i,s,t,n),yield s;else throw new TypeError(`Virtual table module "${n}" yielded something that isn't a valid row object`)}}function Jt(e,t,n,r){if(e.length!==n)throw new TypeError(`Virtual table module "${r}" yielded a row with an incorrect number of columns`);let o=t.length-n;for(let s=0;s<n;++s)t[s+o]=e[s]}function zt(e,t,n,r){let o=0;for(let s of Object.keys(e)){let i=n.get(s);if(i===void 0)throw new TypeError(`Virtual table module "${r}" yielded a row with an undeclared column "${s}"`);t[i]=e[s],o+=1}if(o!==n.size)throw new TypeError(`Virtual table module "${r}" yielded a row with missing columns`)}function Qt({length:e}){if(!Number.isInteger(e)||e<0)throw new TypeError("Expected function.length to be a positive integer");let t=[];for(let n=0;n<e;++n)t.push(`$${n+1}`);return t}var{hasOwnProperty:v}=Object.prototype,{apply:Zt}=Function.prototype,en=Object.getPrototypeOf(function*(){}),Fe=e=>`"${e.replace(/"/g,'""')}"`,tn=e=>()=>e,ke=e=>{for(let t=0;t<e.length;++t)if(typeof e[t]!="string")return!1;return!0}});var Pe=T((hr,Be)=>{"use strict";var nn=function(){};Be.exports=function(t,n){return Object.assign(new nn,this)}});var qe=T((wr,He)=>{"use strict";var rn=require("fs"),on=require("path"),V=w(),sn=Z();He.exports=function(t,n){function r(s,i){if(new.target==null)return new r(s,i);let c,d;if(Buffer.isBuffer(s))c=s,s=":memory:";else if(typeof s=="number"){if(!Number.isInteger(s)||s<0||s>2147483647)throw new TypeError("Expected the file descriptor to be a non-negative 32-bit integer");d=s,s=`fd:${d}`}if(s==null&&(s=""),i==null&&(i={}),typeof s!="string")throw new TypeError("Expected first argument to be a string");if(typeof i!="object")throw new TypeError("Expected second argument to be an options object");if("readOnly"in i)throw new TypeError('Misspelled option "readOnly" should be "readonly"');if("memory"in i)throw new TypeError('Option "memory" was removed in v7.0.0 (use ":memory:" filename instead)');let u=s.trim(),R=u===""||u===":memory:",p=V.getBooleanOption(i,"readonly"),b=V.getBooleanOption(i,"fileMustExist"),O="timeout"in i?i.timeout:5e3,F="verbose"in i?i.verbose:null,C="nativeBinding"in i?i.nativeBinding:null,a="journalFd"in i?i.journalFd:void 0;if(p&&R&&!c)throw new TypeError("In-memory/temporary databases cannot be readonly");if(!Number.isInteger(O)||O<0)throw new TypeError('Expected the "timeout" option to be a positive integer');if(O>2147483647)throw new RangeError('Option "timeout" cannot be greater than 2147483647');if(F!=null&&typeof F!="function")throw new TypeError('Expected the "verbose" option to be a function');if(d!==void 0&&a===void 0)throw new TypeError('The "journalFd" option is required when opening a database from a file descriptor');if(d===void 0&&a!==void 0)throw new TypeError('The "journalFd" option can only be used when opening a database from a file descriptor');if(a!==void 0&&!(Number.isInteger(a)&&a>=0&&a<=2147483647))throw new TypeError('Expected the "journalFd" option to be a non-negative 32-bit integer');if(!n&&"nativeBinding"in i)throw new TypeError('The "nativeBinding" option is only supported by the default better-sqlite3 entrypoint');if(n&&C!=null&&typeof C!="string"&&typeof C!="object")throw new TypeError('Expected the "nativeBinding" option to be a string or addon object');let E=t(C);if(E.isInitialized||(E.initialize(sn,an,cn,dn,un),E.isInitialized=!0),d===void 0&&!R&&!u.startsWith("file:")&&!rn.existsSync(on.dirname(u)))throw new TypeError("Cannot open database because the directory does not exist");Object.defineProperties(this,{[V.cppdb]:{value:new E.Database(u,s,R,p,b,O,F||null,c||null,d??null,a??null)},...o.getters})}let o=me();return r.prototype.prepare=o.prepare,r.prototype.transaction=Ne(),r.prototype.pragma=ye(),r.prototype.explain=we(),r.prototype.backup=Le(),r.prototype.serialize=_e(),r.prototype.function=De(),r.prototype.aggregate=Me(),r.prototype.table=We(),r.prototype.loadExtension=o.loadExtension,r.prototype.exec=o.exec,r.prototype.close=o.close,r.prototype.defaultSafeIntegers=o.defaultSafeIntegers,r.prototype.unsafeMode=o.unsafeMode,r.prototype[V.inspect]=Pe(),r};function an(...e){return e}function cn(e,...t){let n=e.length;for(let r=0;r<t.length;++r)e[n+r]=t[r]}function dn(...e){if(!e.includes("__proto__")){let t=e.map((r,o)=>`v${o}`).join(","),n=e.map((r,o)=>`${JSON.stringify(r)}:v${o}`).join(",");return Function(`return (${t}) => ({${n}})`)()}return(...t)=>{let n={};for(let r=0;r<e.length;++r)n[e[r]]=t[r];return n}}function un(e){return{value:e,done:!1}}});var Ge=T((ne,$e)=>{"use strict";var J=require("fs"),K=require("path"),En=["linux","darwin","win32"],ln=["x64","arm64"],X;function fn(e){if(typeof e=="string")return(typeof __non_webpack_require__=="function"?__non_webpack_require__:require)(K.resolve(e).replace(/(\.node)?$/,".node"));if(typeof e=="object"&&e!==null)return e;if(X)return X;let t=K.join(__dirname,"..","build","Debug","better_sqlite3.node");return J.existsSync(t)||(t=K.join(__dirname,"..","build","Release","better_sqlite3.node")),J.existsSync(t)?X=require(t):X=require(te()||t)}function te(){if(En.includes(process.platform)&&ln.includes(process.arch)){let e=`${pn()?"linuxmusl":process.platform}-${process.arch}`,t=K.join(__dirname,"..","prebuilds",`${e}.node`);if(J.existsSync(t))return t}return null}function pn(){if(process.platform!=="linux")return!1;try{let n=J.readFileSync("/proc/self/maps","latin1");if(/\/ld-musl-[^/\s]*\.so/.test(n))return!0;if(/\/(?:ld-linux[^/\s]*|libc)\.so\.\d/.test(n))return!1}catch{}let{report:e}=process,t=e.excludeNetwork;e.excludeNetwork=!0;try{return!e.getReport().header.glibcVersionRuntime}finally{e.excludeNetwork=t}}ne.getBinding=fn;ne.getPrebuildPath=te;require.main===$e&&process.stdout.write(te()?"1":"0")});var je=T((Sr,re)=>{"use strict";re.exports=qe()(Ge().getBinding,!0);re.exports.SqliteError=Z()});var Qn={};Dt(Qn,{writeArchive:()=>zn});module.exports=Ct(Qn);var M=require("node:fs"),St=require("node:path");var Ee=Symbol.for("el-ipc.error"),l=class extends Error{code;reason;[Ee]=!0;constructor(t,n,r,o){super(n,o),this.name="IpcError",this.code=t,this.reason=r}};function le(e){return typeof e=="object"&&e!==null&&Ee in e}function fe(e,t){return e instanceof Error&&"code"in e&&e.code===t}function y(e){return typeof e=="object"&&e!==null}function m(e){return y(e)?e:void 0}function h(e,t){let n=e[t];return n instanceof Uint8Array?Buffer.from(n.buffer,n.byteOffset,n.byteLength).toString():typeof n=="string"?n:n==null?"":String(n)}function f(e,t){let n=Number(e[t]);return Number.isFinite(n)?n:0}var Q=`name, identity, public_key, role, registered_by, created_at,
  coalesce((SELECT v2_only FROM agent_rules WHERE agent_rules.name = agents.name), 0) AS v2_only`,ir=`SELECT ${Q} FROM agents WHERE name = ?`,ar=`SELECT ${Q} FROM agents ORDER BY created_at, name`,cr=`SELECT ${Q} FROM agents WHERE role = 'operator' ORDER BY rowid LIMIT 1`;function H(){return process.uptime()*1e3}var Xe=require("node:fs"),W=require("node:path");async function Ke(e,t){if(t==="better-sqlite3")return Ye(e);if(t==="node:sqlite")return Ve(e);try{return await Ye(e)}catch(n){if(ot(n))throw n;return Ve(e)}}async function Ye(e){if(Number(process.versions.napi)<10)throw new Error("better-sqlite3 needs Node-API 10");let{default:t}=await Promise.resolve().then(()=>xt(je(),1)),n=new Error("better-sqlite3 is not installed");for(let r of Tn())try{return new t(e,{timeout:0,nativeBinding:r})}catch(o){if(ot(o))throw o;n=o}throw n}function Tn(){let t=(process.platform==="linux"?["linux","linuxmusl"]:[process.platform]).map(r=>`node_modules/better-sqlite3/prebuilds/${r}-${process.arch}.node`),n=[];for(let r=__dirname;n.length===0&&(n.push(...t.map(o=>(0,W.join)(r,o)).filter(o=>(0,Xe.existsSync)(o))),(0,W.dirname)(r)!==r);r=(0,W.dirname)(r));return n}function Ve(e){let{DatabaseSync:t}=mn(()=>process.getBuiltinModule("node:sqlite")),n=new t(e);return{prepare:r=>n.prepare(r),exec:r=>n.exec(r),close:()=>n.close()}}function mn(e){let t=process.emitWarning;process.emitWarning=()=>{};try{return e()}finally{process.emitWarning=t}}var gn=-1,Je=1,ze=5,Qe=8,Ze=10,et=11,tt=13,nt=14,rt=26;function z(e){if(!(e instanceof Error))return;if("errcode"in e&&typeof e.errcode=="number")return e.errcode&255;if(!("code"in e)||typeof e.code!="string"||!e.code.startsWith("SQLITE_"))return;let t=e.code.split("_").slice(0,2).join("_");return{SQLITE_ERROR:Je,SQLITE_BUSY:ze,SQLITE_READONLY:Qe,SQLITE_IOERR:Ze,SQLITE_CORRUPT:et,SQLITE_FULL:tt,SQLITE_CANTOPEN:nt,SQLITE_NOTADB:rt}[t]??gn}function ot(e){return z(e)!==void 0}function st(e){return z(e)===Je}function oe(e){return z(e)===ze}function it(e){switch(z(e)){case Qe:case nt:return"can't be written: see whether this user may write to the file and to its folder, and whether the disk is read-only or full";case Ze:return"can't be read or written: its disk is full or failing. Make room on it and try again; what was acknowledged is there";case et:return"is damaged: stop what has it open, move it away together with its -wal and -shm, and put a backup in its place, or begin anew without one";case rt:return"is not an SQLite database: set IPC_DB_PATH to another file or, if it was one, put a backup in its place";case tt:return"can't grow: the disk is full. Make room on it and try again; what was acknowledged is there";default:return}}var Rn=1e4,Nn=new Int32Array(new SharedArrayBuffer(4));function D(e){try{return e()}catch(t){if(!oe(t))throw t;return On(e)}}async function On(e){for(let t=H()+Rn;;){Atomics.wait(Nn,0,0,.05+Math.random()*.95),await new Promise(setImmediate);try{return e()}catch(n){if(!oe(n))throw n;if(H()>t)throw new l("internal","The database is busy: another program has held it for 10 seconds",void 0,{cause:n})}}}var g=require("node:fs"),at=require("node:path");var yn=["","-wal","-shm","-journal"];function ct(e){let t=(0,at.dirname)(e);if(!(0,g.existsSync)(t))throw new l("invalid",`The database ${e} can't be opened: ${t} doesn't exist`);if(hn(e),wn(t))for(let n of yn)Sn(e+n)}function hn(e){try{(0,g.closeSync)((0,g.openSync)(e,g.constants.O_RDWR|g.constants.O_CREAT|g.constants.O_EXCL,384))}catch(t){if(fe(t,"EEXIST"))return;let n=t instanceof Error?t.message:String(t);throw new l("invalid",`The database ${e} can't be made: ${n}`,void 0,{cause:t})}}function wn(e){return process.platform!=="win32"&&((0,g.statSync)(e).mode&2)!==0}function Sn(e){let t=(0,g.lstatSync)(e,{throwIfNoEntry:!1});if(t!==void 0){if(t.isSymbolicLink())throw se(e,"it is a symbolic link");if(!t.isFile())throw se(e,"it is not a file");if(t.uid!==process.getuid?.())throw se(e,"it belongs to somebody else")}}function se(e,t){return new l("invalid",`The database ${e} is refused: ${t}, in a folder that others can write to. Set IPC_DB_PATH to a file of your own`)}function dt(e,t){if(le(e))return e;let n=it(e);return n===void 0?e:new l("internal",`The database ${t} ${n}`,void 0,{cause:e})}var x=`id, channel, sender, CAST(content AS BLOB) AS content, created_at, signature,
  EXISTS (SELECT 1 FROM attested WHERE message_id = messages.id) AS attested`,A="channel = +?";var An=`SELECT ${x} FROM messages
  WHERE ${A} AND id > ? ORDER BY id LIMIT +?`,Eo=`SELECT ${x} FROM messages
  WHERE ${A} AND id < ? ORDER BY id DESC LIMIT +?`,Ln=`SELECT ${x} FROM messages
  WHERE ${A} AND id > ? AND sender <> ? ORDER BY id LIMIT +?`,bn="SELECT count(*) AS pending FROM messages WHERE channel = ? AND id > ?",ae="AND NOT EXISTS (SELECT 1 FROM taken WHERE message_id = messages.id AND settled = 1)",lo=An.replace("ORDER BY",`${ae} ORDER BY`),fo=Ln.replace("ORDER BY",`${ae} ORDER BY`),po=`${bn} ${ae}`,To=`SELECT id FROM messages WHERE ${A} AND id > ? AND sender <> ? ORDER BY id LIMIT 1`,mo=`SELECT max(id) AS id FROM messages WHERE ${A}`;var go=`SELECT ${x} FROM messages WHERE id = ?`;var Ro=`SELECT ${x} FROM messages WHERE id > ? ORDER BY id LIMIT +?`;var So=`SELECT ${x} FROM messages WHERE ${A} AND id > ?
  AND NOT EXISTS (SELECT 1 FROM taken WHERE message_id = messages.id AND (settled = 1 OR lease_until > ?))
  ORDER BY id LIMIT +?`;var Ao=`SELECT id FROM messages WHERE ${A} AND id > ?
  AND NOT EXISTS (SELECT 1 FROM taken WHERE message_id = messages.id AND settled = 1) ORDER BY id LIMIT 1`,Lo=`SELECT max(id) AS id FROM messages WHERE ${A}`;var bo=`SELECT min(lease_until) AS at FROM taken WHERE ${A} AND message_id > ? AND settled = 0`;var ut=`-- The tables of the Python original, by their own names: one database file serves both programs at the same time.
CREATE TABLE IF NOT EXISTS messages (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  channel    TEXT NOT NULL,
  sender     TEXT NOT NULL,
  content    TEXT NOT NULL,
  created_at REAL NOT NULL,
  read_by    TEXT DEFAULT '',
  signature  TEXT DEFAULT ''
);

CREATE TABLE IF NOT EXISTS watermarks (
  agent   TEXT NOT NULL,
  channel TEXT NOT NULL,
  last_id INTEGER DEFAULT 0,
  PRIMARY KEY (agent, channel)
);

CREATE TABLE IF NOT EXISTS agents (
  name          TEXT PRIMARY KEY,
  identity      TEXT NOT NULL DEFAULT '',
  public_key    TEXT NOT NULL,
  role          TEXT NOT NULL DEFAULT 'agent',
  registered_by TEXT,
  created_at    REAL NOT NULL
);
`;var Et=`-- Reading costs what is unread, and listing costs what channels there are, however much is stored.
CREATE INDEX messages_by_channel ON messages (channel, id);

-- Kept by triggers, so that the original's own writes count too.
CREATE TABLE channel_counts (
  channel      TEXT PRIMARY KEY,
  count        INTEGER NOT NULL,
  last_message REAL NOT NULL
) WITHOUT ROWID;

INSERT INTO channel_counts (channel, count, last_message)
  SELECT channel, count(*), max(created_at) FROM messages GROUP BY channel;

CREATE TRIGGER messages_counted AFTER INSERT ON messages BEGIN
  INSERT INTO channel_counts (channel, count, last_message) VALUES (NEW.channel, 1, NEW.created_at)
    ON CONFLICT (channel) DO UPDATE SET count = count + 1, last_message = max(last_message, NEW.created_at);
END;

CREATE TRIGGER messages_uncounted AFTER DELETE ON messages BEGIN
  UPDATE channel_counts SET count = count - 1 WHERE channel = OLD.channel;
  DELETE FROM channel_counts WHERE channel = OLD.channel AND count <= 0;
END;

-- The original replaces whole rows of agents: an operator's must stay, or secure mode would end with it.
CREATE TRIGGER operators_stay BEFORE INSERT ON agents
  WHEN EXISTS (SELECT 1 FROM agents WHERE name = NEW.name AND role = 'operator')
BEGIN
  SELECT RAISE(ABORT, 'an operator cannot be replaced');
END;
`;var lt=`-- What we add to a message, an agent or a request stands in tables of our own: the original replaces whole rows of its.

-- Signed requests happen once. Kept for an hour, which is longer than a request is taken for.
CREATE TABLE nonces (
  signer     TEXT NOT NULL,
  nonce      TEXT NOT NULL,
  digest     TEXT NOT NULL,
  message_id INTEGER NOT NULL,
  seen_at    REAL NOT NULL,
  PRIMARY KEY (signer, nonce)
) WITHOUT ROWID;

CREATE INDEX nonces_by_age ON nonces (seen_at);

-- Messages whose sender showed a token instead of a signature.
CREATE TABLE attested (message_id INTEGER PRIMARY KEY);

CREATE TRIGGER attested_gone AFTER DELETE ON messages BEGIN
  DELETE FROM attested WHERE message_id = OLD.id;
END;

CREATE TABLE agent_rules (
  name    TEXT PRIMARY KEY,
  v2_only INTEGER NOT NULL
) WITHOUT ROWID;

-- Agents whose key was revoked. They leave the table of agents, so that the original refuses them too.
CREATE TABLE revoked_agents (
  name          TEXT PRIMARY KEY,
  public_key    TEXT NOT NULL,
  registered_by TEXT,
  revoked_at    REAL NOT NULL
) WITHOUT ROWID;
`;var ft=`-- Who reads a channel, and how far: receipts, and what everybody has consumed.
CREATE INDEX watermarks_by_channel ON watermarks (channel, last_id);
`;var pt=`CREATE TABLE peers (
  id           TEXT PRIMARY KEY,
  role         TEXT NOT NULL,
  capabilities TEXT NOT NULL,
  agent        TEXT,
  connected_at REAL NOT NULL,
  last_seen    REAL NOT NULL,
  waiting_for  TEXT
);

CREATE TABLE orders (
  seq           INTEGER PRIMARY KEY AUTOINCREMENT,
  id            TEXT NOT NULL UNIQUE,
  kind          TEXT NOT NULL,
  sender        TEXT NOT NULL,
  sender_id     TEXT,
  target        TEXT,
  target_role   TEXT NOT NULL,
  action        TEXT NOT NULL,
  params        TEXT NOT NULL,
  created_at    REAL NOT NULL,
  lease_seconds REAL NOT NULL,
  expires_at    REAL,
  status        TEXT NOT NULL DEFAULT 'pending',
  attempts      INTEGER NOT NULL DEFAULT 0,
  holder        TEXT,
  lease_until   REAL,
  result        TEXT NOT NULL DEFAULT 'null',
  ended_at      REAL
);

-- Only what may still be handed out: looking for an order costs what is open, however many have ended.
CREATE INDEX orders_open_by_target ON orders (target, seq) WHERE status IN ('pending', 'leased');
CREATE INDEX orders_open_by_role ON orders (target_role, seq) WHERE status IN ('pending', 'leased') AND target IS NULL;

-- What nobody may take any more, by time or by how often it was handed out.
CREATE INDEX orders_open_by_expiry ON orders (expires_at) WHERE status IN ('pending', 'leased') AND expires_at IS NOT NULL;
CREATE INDEX orders_open_by_attempts ON orders (attempts) WHERE status IN ('pending', 'leased');

-- What a peer is and was ordered, what came to the same end, and what ended long ago.
CREATE INDEX orders_by_target ON orders (target, status);
CREATE INDEX orders_by_holder ON orders (holder, status);
CREATE INDEX orders_by_status ON orders (status);
CREATE INDEX orders_by_end ON orders (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE signals (
  name   TEXT PRIMARY KEY,
  data   TEXT NOT NULL,
  sender TEXT NOT NULL,
  set_at REAL NOT NULL
);

-- What changed, for those who follow it live. Messages are a journal by themselves.
CREATE TABLE journal (
  seq  INTEGER PRIMARY KEY AUTOINCREMENT,
  at   REAL NOT NULL,
  kind TEXT NOT NULL,
  key  TEXT NOT NULL,
  what TEXT NOT NULL
);

CREATE TRIGGER journal_bounded AFTER INSERT ON journal WHEN NEW.seq % 100 = 0 BEGIN
  DELETE FROM journal WHERE seq <= NEW.seq - 10000;
END;

CREATE TRIGGER peer_connected AFTER INSERT ON peers BEGIN
  INSERT INTO journal (at, kind, key, what) VALUES (unixepoch('subsec'), 'peer', NEW.id, 'connected');
END;

CREATE TRIGGER peer_changed AFTER UPDATE OF role ON peers BEGIN
  INSERT INTO journal (at, kind, key, what) VALUES (unixepoch('subsec'), 'peer', NEW.id, 'changed_role');
END;

CREATE TRIGGER peer_waits AFTER UPDATE OF waiting_for ON peers WHEN OLD.waiting_for IS NOT NEW.waiting_for BEGIN
  INSERT INTO journal (at, kind, key, what)
    VALUES (unixepoch('subsec'), 'peer', NEW.id, CASE WHEN NEW.waiting_for IS NULL THEN 'works' ELSE 'waits' END);
END;

CREATE TRIGGER peer_left AFTER DELETE ON peers BEGIN
  INSERT INTO journal (at, kind, key, what) VALUES (unixepoch('subsec'), 'peer', OLD.id, 'left');
END;

CREATE TRIGGER order_sent AFTER INSERT ON orders BEGIN
  INSERT INTO journal (at, kind, key, what) VALUES (unixepoch('subsec'), 'order', NEW.id, NEW.status);
END;

CREATE TRIGGER order_changed AFTER UPDATE OF status ON orders WHEN OLD.status <> NEW.status OR OLD.attempts <> NEW.attempts BEGIN
  INSERT INTO journal (at, kind, key, what) VALUES (unixepoch('subsec'), 'order', NEW.id, NEW.status);
END;

CREATE TRIGGER signal_set AFTER INSERT ON signals BEGIN
  INSERT INTO journal (at, kind, key, what) VALUES (unixepoch('subsec'), 'signal', NEW.name, 'set');
END;

CREATE TRIGGER signal_set_again AFTER UPDATE ON signals BEGIN
  INSERT INTO journal (at, kind, key, what) VALUES (unixepoch('subsec'), 'signal', NEW.name, 'set');
END;

CREATE TRIGGER signal_cleared AFTER DELETE ON signals BEGIN
  INSERT INTO journal (at, kind, key, what) VALUES (unixepoch('subsec'), 'signal', OLD.name, 'cleared');
END;
`;var Tt=`-- Messages of mailboxes that were handed out: until when nobody else gets them, and which have arrived. A row goes once
-- its reader's watermark is past it.
CREATE TABLE taken (
  message_id  INTEGER PRIMARY KEY,
  channel     TEXT NOT NULL,
  lease_until REAL NOT NULL,
  settled     INTEGER NOT NULL DEFAULT 0
);

CREATE INDEX taken_by_channel ON taken (channel, message_id);

CREATE TRIGGER taken_gone AFTER DELETE ON messages BEGIN
  DELETE FROM taken WHERE message_id = OLD.id;
END;
`;var mt=`-- Whether an agent is connected is asked with each one that connects.
CREATE INDEX peers_by_agent ON peers (agent, connected_at, id);
`;var B=[ut,Et,lt,ft,pt,Tt,mt];async function Rt(e,t){let n=await D(()=>gt(e));if(n!==B.length){if(n>B.length)throw new l("invalid",`The database ${t} was made by a newer el-ipc; update this one to use it`);await D(()=>e.prepare("PRAGMA journal_mode = WAL").get()),await D(()=>e.exec("BEGIN IMMEDIATE"));try{for(let r=gt(e);r<B.length;r++)e.exec(B[r]??""),r===0&&Un(e),e.exec(`PRAGMA user_version = ${r+1}`);e.exec("COMMIT")}catch(r){if(kn(e),!st(r))throw r;let o=`The database ${t} holds tables of another program; set IPC_DB_PATH to a file of its own`;throw new l("invalid",o,void 0,{cause:r})}}}function kn(e){try{e.exec("ROLLBACK")}catch{}}function gt(e){return f(m(e.prepare("PRAGMA user_version").get())??{},"user_version")}function Un(e){e.prepare("PRAGMA table_info (messages)").all().filter(y).some(n=>h(n,"name")==="signature")||e.exec("ALTER TABLE messages ADD COLUMN signature TEXT DEFAULT ''")}var yt="(SELECT role FROM peers WHERE id = ?)",ce="status IN ('pending', 'leased')",de=`${ce} AND (status = 'pending' OR lease_until <= ?)`,Ot=`${de} AND (expires_at IS NULL OR expires_at > ?) AND attempts < ?`,Es=`SELECT seq, id FROM (
    SELECT * FROM (SELECT seq, id FROM orders WHERE target = ? AND ${Ot} ORDER BY seq LIMIT 1)
    UNION ALL
    SELECT * FROM (SELECT seq, id FROM orders WHERE target IS NULL AND target_role = ${yt} AND ${Ot}
      ORDER BY seq LIMIT 1)
  ) ORDER BY seq LIMIT 1`,ls=`SELECT min(at) AS at FROM (
    SELECT min(lease_until) AS at FROM orders WHERE target = ? AND ${ce}
    UNION ALL
    SELECT min(lease_until) FROM orders WHERE target IS NULL AND target_role = ${yt} AND ${ce}
  )`;var fs=`SELECT seq FROM orders WHERE expires_at <= ? AND ${de}
  UNION SELECT seq FROM orders WHERE attempts >= ? AND ${de}`;var Wn="SELECT seq FROM orders WHERE ended_at < ? ORDER BY ended_at LIMIT +?",ps=`DELETE FROM orders WHERE seq IN (${Wn}) RETURNING seq`;var ht="SELECT key FROM journal WHERE seq > ?",ws=`DELETE FROM peers WHERE id NOT IN (${ht} AND kind = 'peer' AND what = 'connected')`,Ss=`DELETE FROM signals WHERE name NOT IN (${ht} AND kind = 'signal')`;async function wt({path:e,durability:t="full",driver:n}){ct(e);let r=await Bn(e,n);try{return await Rt(r,e),await D(()=>r.exec(`PRAGMA synchronous = ${t==="full"?"FULL":"NORMAL"}`)),r}catch(o){throw r.close(),dt(o,e)}}async function Bn(e,t){try{return await Ke(e,t)}catch(n){let r=n instanceof Error?n.message:String(n);throw new l("invalid",`The database ${e} can't be opened: ${r}`,void 0,{cause:n})}}var Pn=["messages",["id","channel","sender","content","created_at","signature"]],Hn=["attested",["message_id"]],qn=["watermarks",["agent","channel","last_id"]],$n=["nonces",["signer","nonce","digest","message_id","seen_at"]],Gn=["agents",["name","identity","public_key","role","registered_by","created_at"]],jn=["agent_rules",["name","v2_only"]],Yn=["revoked_agents",["name","public_key","registered_by","revoked_at"]],Vn=["peers",["id","role","capabilities","agent","connected_at","last_seen","waiting_for"]],Xn=["orders",["id","kind","sender","sender_id","target","target_role","action","params","created_at","lease_seconds","expires_at","status","attempts","holder","lease_until","result","ended_at"]],Kn=["signals",["name","data","sender","set_at"]],Jn=["journal",["seq","at","kind","key","what"]];async function zn(e,t){(0,M.mkdirSync)((0,St.dirname)(e),{recursive:!0,mode:448}),(0,M.closeSync)((0,M.openSync)(e,"wx",384));let n=await wt({path:e}),r=([s,i])=>{let c=i.map(()=>"?").join(", "),d=n.prepare(`INSERT INTO ${s} (${i.join(", ")}) VALUES (${c})`);return(...u)=>{d.run(...u)}},o=s=>JSON.stringify(s??null);try{n.exec("BEGIN IMMEDIATE");let[s,i]=[r(Pn),r(Hn)];for await(let{id:a,channel:E,sender:N,content:L,timestamp:I,signature:k,attested:U}of t.messages)s(a,E,N,L,I,k),U&&i(a);let c=r(qn);for await(let{agent:a,channel:E,lastId:N}of t.watermarks)c(a,E,N);let d=r($n);for await(let a of t.nonces)d(a.signer,a.nonce,a.digest,a.messageId,a.at);let[u,R,p]=[r(Gn),r(jn),r(Yn)];for(let{name:a,identity:E,publicKey:N,role:L,registeredBy:I,createdAt:k,v2Only:U}of t.agents)u(a,E,N,L,I,k),U&&R(a,1);for(let{name:a,publicKey:E,registeredBy:N}of t.revoked)p(a,E,N,0);let b=r(Vn);for(let{id:a,role:E,capabilities:N,agent:L,connectedAt:I,lastSeen:k,waitingFor:U}of t.peers)b(a,E,o(N),L,I,k,U);let O=r(Xn);for await(let a of t.orders)O(a.id,a.kind,a.from,a.fromId,a.target,a.targetRole,a.action,o(a.params),a.createdAt,a.leaseSeconds,a.expiresAt,a.status,a.attempts,a.holder,a.leaseUntil,o(a.result),a.endedAt);let F=r(Kn);for await(let{name:a,data:E,sender:N,setAt:L}of t.signals)F(a,o(E),N,L);n.exec("DELETE FROM journal");let C=r(Jn);for(let{seq:a,at:E,kind:N,key:L,what:I}of t.journal)C(a,E,N,L,I);n.exec("COMMIT")}finally{n.close()}}0&&(module.exports={writeArchive});
